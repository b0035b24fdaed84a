"""The unrolled face that the built-in masks are painted on: layout, surface normals, height, regions, noise and light.

`mask_art` paints with it. Everything is computed from the canonical mesh and seeded noise; no photo is involved.
Colours are float BGR in 0..1, planes float32 (CANVAS_PX, CANVAS_PX).
"""

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_mesh, mesh_warp

CANVAS_PX = 768
CANVAS_CM = 27.0
AXIS_CM, RADIUS_CM = 7.0, 9.5
"""The face is unrolled from a cylinder that stands this far behind the canonical origin."""
APRON_REACH = face_mesh.apron_reach(1.16, 1.34)

Plane = NDArray[np.float32]
Picture = NDArray[np.float32]


@functools.cache
def layout() -> NDArray[np.float32]:
    """Where the 504 vertices of mesh and apron lie on the canvas: (504, 2) px."""
    shape = face_mesh.CANONICAL
    unrolled = shape.copy()
    unrolled[:, 0] = np.arctan2(shape[:, 0], AXIS_CM - shape[:, 2]) * RADIUS_CM
    whole = face_mesh.with_apron(unrolled, APRON_REACH)[:, :2]
    whole[:, 1] -= (whole[:, 1].min() + whole[:, 1].max()) / 2
    return np.asarray(whole * (CANVAS_PX / CANVAS_CM) + CANVAS_PX / 2, np.float32)


@dataclass(frozen=True, slots=True)
class Relief:
    """Surface of the unrolled face: unit normals (rows, columns, 3) in image axes and height in cm."""

    normals: Picture
    height: Plane


@functools.cache
def relief() -> Relief:
    """Normals and height of the canonical face, smoothed so that its triangles do not show."""
    whole = face_mesh.with_apron(face_mesh.CANONICAL, APRON_REACH)
    corners = np.concatenate([_vertex_normals(whole), -whole[:, 2:]], 1)[face_mesh.TRIANGLES]
    points = np.concatenate([layout(), np.zeros((len(whole), 1), np.float32)], 1)
    canvas = mesh_warp.Region(x0=0, y0=0, x1=CANVAS_PX, y1=CANVAS_PX)
    grid = mesh_warp.interpolate(points, corners, face_mesh.TRIANGLES, canvas, CANVAS_PX)
    assert grid is not None, "the unrolled canonical face shows all its triangles"
    weight = cv2.GaussianBlur((grid.inside > 0).astype(np.float32), (0, 0), 7)[..., None]
    smooth = cv2.GaussianBlur(grid.values * (grid.inside > 0)[..., None], (0, 0), 7) / (weight + 1e-3)
    normals = smooth[..., :3] / (np.linalg.norm(smooth[..., :3], axis=2, keepdims=True) + 1e-6)
    return Relief(normals.astype(np.float32), np.ascontiguousarray(smooth[..., 3], np.float32))


def _vertex_normals(points: NDArray[np.float32]) -> NDArray[np.float32]:
    corner = points[face_mesh.TRIANGLES]
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    summed = np.zeros_like(points)
    for side in range(3):
        np.add.at(summed, face_mesh.TRIANGLES[:, side], facing)
    if summed[4, 2] > 0:
        summed = -summed
    return np.asarray(summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-6), np.float32)


def bgr(code: str) -> NDArray[np.float32]:
    """A colour from its hexadecimal RGB code."""
    return np.array([int(code[i : i + 2], 16) for i in (4, 2, 0)], np.float32) / np.float32(255)


def plain(code: str) -> Picture:
    """A canvas of one colour."""
    return np.full((CANVAS_PX, CANVAS_PX, 3), bgr(code), np.float32)


def mix(under: Picture, over: Picture, amount: NDArray[Any]) -> Picture:
    """Paint `over` on `under` with opacity `amount`, 0..1."""
    return np.asarray(under + (over - under) * amount[..., None], np.float32)


def region(vertices: NDArray[np.intp], *, scale: float = 1.0, blur_px: float = 1.5) -> Plane:
    """A filled outline through mesh vertices, scaled about its middle: 0..1 with a soft edge."""
    points = layout()[vertices]
    points = points.mean(0) + (points - points.mean(0)) * np.float32(scale)
    mask = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    cv2.fillPoly(mask, [np.round(smooth_outline(points) * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), blur_px).astype(np.float32) / np.float32(255)


def smooth_outline(points: NDArray[np.float32], steps: int = 6) -> NDArray[np.float32]:
    """A closed Catmull-Rom curve through the points."""
    before, after, beyond = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = (np.arange(steps, dtype=np.float32) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return np.asarray(curve.reshape(-1, 2), np.float32)


def distance_from(mask: Plane) -> Plane:
    """Distance in px to the nearest pixel of a region (0 inside it)."""
    return np.asarray(cv2.distanceTransform(np.where(mask > 0.5, 0, 255).astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def line_art(paths: list[NDArray[np.float32]], widths_px: list[float]) -> Plane:
    """Anti-aliased polylines, each with its own width: 0..1."""
    mask = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    for path, width in zip(paths, widths_px, strict=True):
        points = [np.round(path * 16).astype(np.int32)]
        cv2.polylines(mask, points, False, (255,), max(1, round(width)), cv2.LINE_AA, 4)
    return mask.astype(np.float32) / np.float32(255)


def noise(seed: int, cell_px: float, octaves: int = 4) -> Plane:
    """Smooth seeded noise, about -1..1, its largest blobs `cell_px` wide."""
    rng = np.random.default_rng(seed)
    total = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
    for octave in range(octaves):
        cells = max(2, round(CANVAS_PX / cell_px * 2**octave))
        coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        total += cv2.resize(coarse, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_CUBIC) / 2**octave
    return np.asarray(total / np.float32(1.6), np.float32)


def axes() -> tuple[Plane, Plane]:
    """Canvas coordinates in cm from its middle: x right, y down."""
    steps = (np.arange(CANVAS_PX, dtype=np.float32) - CANVAS_PX / 2) * np.float32(CANVAS_CM / CANVAS_PX)
    x, y = np.meshgrid(steps, steps)
    return x, y


def lit(picture: Picture, *, gloss: float, sharpness: float, bump: Plane | None = None, depth: float = 0.35) -> Picture:
    """Light the surface from above left (Blinn-Phong); `bump` raises it (cm), `depth` is how dark shadows are."""
    normals = relief().normals if bump is None else _bumped(relief().normals, bump)
    light = _unit(-0.35, -0.55, -1.0)
    half = _unit(*(light + _unit(0, 0, -1)))
    diffuse = np.clip(normals @ light, 0, 1)
    shine = np.clip(normals @ half, 0, 1) ** np.float32(sharpness)
    shaded = picture * (1 - depth + depth * 1.25 * diffuse)[..., None] + (gloss * shine)[..., None]
    return np.asarray(np.clip(shaded, 0, 1), np.float32)


def _bumped(normals: Picture, bump: Plane) -> Picture:
    per_cm = CANVAS_PX / CANVAS_CM
    slope_x = cv2.Sobel(bump, cv2.CV_32F, 1, 0, ksize=3) / 8 * per_cm
    slope_y = cv2.Sobel(bump, cv2.CV_32F, 0, 1, ksize=3) / 8 * per_cm
    bent = normals + np.stack([-slope_x, -slope_y, np.zeros_like(slope_x)], 2)
    return np.asarray(bent / (np.linalg.norm(bent, axis=2, keepdims=True) + 1e-6), np.float32)


def _unit(x: float, y: float, z: float) -> NDArray[np.float32]:
    vector = np.array([x, y, z], np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
