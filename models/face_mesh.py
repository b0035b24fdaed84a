"""The 468-point face mesh: its topology, its canonical shape and the similarity between two faces.

Geometry only; the embedded face engine warps over it, portraits and masks are laid out on it. The vertices are numbered
as Google's landmark network gives them; their mean shape and the triangles between them are our own measurement
(`canonical_face.csv`, made by `tests/bench/measure_canonical.py`). An apron of 36 vertices around the oval lets a mask
have a rim and lets the picture around a reshaped jaw follow smoothly.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
"""Vertices in image axes (n, 3): x right, y down, z away from the camera, all in one scale."""

FACE_POINTS = 468
OVAL = np.array(
    [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
    + [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
)
INNER_LIPS = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191])
OUTER_LIPS = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185])
UPPER_INNER_LIP = np.array([191, 80, 81, 82, 13, 312, 311, 310, 415])
LOWER_INNER_LIP = np.array([95, 88, 178, 87, 14, 317, 402, 318, 324])
"""The two lips' inner edges, opposite points at the same place."""
LEFT_EYE = np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246])
RIGHT_EYE = np.array([263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466])
LEFT_BROW = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46])
RIGHT_BROW = np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276])
RIGID = np.array(
    [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 10, 151, 9, 8]
    + [127, 356, 234, 454, 93, 323, 107, 336, 70, 300, 116, 345, 50, 280]
)
"""Points that speech and expression hardly move."""


def _load() -> tuple[Points, NDArray[np.int32]]:
    lines = Path(__file__).with_name("canonical_face.csv").read_text("ascii").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return np.array(rows[:FACE_POINTS], np.float32), np.array(rows[FACE_POINTS:], np.int32)


def _apron_triangles() -> NDArray[np.int32]:
    inner, outer = OVAL, FACE_POINTS + np.arange(len(OVAL))
    inner_next, outer_next = np.roll(inner, -1), np.roll(outer, -1)
    wide = np.stack([inner, inner_next, outer], 1)
    narrow = np.stack([inner_next, outer_next, outer], 1)
    return np.concatenate([wide, narrow]).astype(np.int32)


def _mirror(vertices: Points) -> NDArray[np.intp]:
    flipped = vertices * np.array([-1, 1, 1], np.float32)
    return np.asarray(np.linalg.norm(vertices[:, None] - flipped[None], axis=2).argmin(0), np.intp)


def _rings_from_oval(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """How many mesh edges each vertex is away from the face oval."""
    rings = np.full(FACE_POINTS, -1, np.int32)
    rings[OVAL] = 0
    ring = 0
    while (rings < 0).any():
        touched = triangles[(rings[triangles] == ring).any(1)]
        rings[touched[rings[touched] < 0]] = ring + 1
        ring += 1
    return rings


CANONICAL, FACE_TRIANGLES = _load()
TRIANGLES = np.concatenate([FACE_TRIANGLES, _apron_triangles()])
MIRROR = _mirror(CANONICAL)
"""The vertex on the other side of the face, for each of the 468."""
RINGS = _rings_from_oval(FACE_TRIANGLES)


def apron_reach(side: float, top: float) -> NDArray[np.float32]:
    """How far the apron goes at each oval vertex, in distances from the face's middle: `top` above the forehead."""
    oval = CANONICAL[OVAL, :2]
    outward = oval - oval.mean(0)
    up = np.clip(-outward[:, 1] / np.linalg.norm(outward, axis=1), 0, 1)
    return np.asarray(side + (top - side) * up**2, np.float32)


def with_apron(points: Points, reach: NDArray[np.float32]) -> Points:
    """Append the apron: each oval vertex carried outward to `reach` (36,) times its distance from the face's middle."""
    oval = points[OVAL]
    apron = oval.copy()
    apron[:, :2] += (oval - oval.mean(0))[:, :2] * (reach - 1)[:, None]
    return np.concatenate([points, apron])


def similarity(source: Points, target: Points) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
    """Least-squares scale, rotation (3, 3) and shift (3,) with target = scale * source @ rotation.T + shift.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred, wanted = source - source_mean, target - target_mean
    left, spread, right = np.linalg.svd(wanted.T @ centred)
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))], np.float32)
    rotation = (left * sign) @ right
    scale = float((spread * sign).sum() / max(float((centred**2).sum()), 1e-6))
    shift = target_mean - scale * rotation @ source_mean
    return scale, rotation.astype(np.float32), shift.astype(np.float32)


def yaw_pitch_deg(points: Points) -> tuple[float, float]:
    """How far the face is turned (positive: to the image's right) and nodded against the canonical face."""
    _, rotation, _ = similarity(CANONICAL[RIGID], points[RIGID])
    forward = -rotation[:, 2]
    return float(np.degrees(np.arctan2(forward[0], -forward[2]))), float(
        np.degrees(np.arcsin(np.clip(forward[1], -1, 1)))
    )
