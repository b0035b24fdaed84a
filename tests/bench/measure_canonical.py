"""Measure the canonical face that `models/face_mesh.py` loads. Run: python -m tests.bench.measure_canonical TARGET.csv

Google's landmark network looks at every third frame of five recordings of four people and at the mirrored frames; its
points are aligned (Procrustes), averaged, made symmetric, put upright and scaled. The triangles are the Delaunay
triangulation of the left half, unrolled from a cylinder with its lips parted, and its mirror image.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay

from models import face_mesh
from models.catalog import FACE_DETECTOR, FACE_LANDMARKS
from models.face_detector import FaceDetector
from models.face_landmarks import FaceLandmarker
from models.face_mesh import Points
from models.mask_canvas import AXIS_CM, RADIUS_CM
from models.runtime import LiteRTNetwork
from tests import likeness
from tests.model_store import model_store

FACE_HEIGHT_CM, TRUE_SIZE_PX = 17.7, (683, 512)
"""The scale, hairline to chin (vertex 10 to 152), which one camera cannot give; GRID was recorded for 4:3 screens."""
LIPS_APART_CM, LIPS_UNROLLED_CM = 0.3, 0.2  # opens the mouth and brings the lips' inner edges out of their folds
FLIP = np.array([-1, 1, 1], np.float32)
TITLE = """\
# Mirage's canonical face: 468 vertices "x,y,z" in cm (x right, y down, z away from the viewer, the middle of the face
# oval at 0), then triangles "a,b,c". Our own measurement, by tests/bench/measure_canonical.py: the mean of what the
# landmark network sees in recordings of four people, made symmetric; our own Delaunay triangulation of it.
"""


def main(target: Path) -> None:
    """Measure and write the file; needs the recordings in ../shared/assets."""
    store = model_store()
    detector = FaceDetector(LiteRTNetwork(store.path(FACE_DETECTOR)))
    landmarker = FaceLandmarker(LiteRTNetwork(store.path(FACE_LANDMARKS)))
    clips = [np.stack(list(_seen(name, detector, landmarker))) for name in likeness.PEOPLE]
    mirror = _mirror(np.concatenate(clips))
    shape = _mean_shape([np.concatenate([clip[:, 0], clip[:, 1, mirror]]) for clip in clips], mirror)
    triangles = _triangulate(shape, mirror)
    rows = [f"{x:.3f},{y:.3f},{z:.3f}" for x, y, z in np.round(shape, 3) + 0.0]
    target.write_text(TITLE + "\n".join([*rows, *(f"{a},{b},{c}" for a, b, c in triangles)]) + "\n", "ascii")


def _seen(name: str, detector: FaceDetector, landmarker: FaceLandmarker) -> Iterator[Points]:
    """Landmarks (2, 468, 3) of each frame and of its mirror image, the latter mirrored back, in heights of the face."""
    for frame in likeness.frames(name)[::3]:
        true = np.asarray(cv2.resize(frame, TRUE_SIZE_PX), np.uint8) if name.endswith(".mpg") else frame
        both = []
        for picture in (true, np.ascontiguousarray(true[:, ::-1])):
            found = landmarker.find(picture, max(detector.detect(picture, 0.5), key=lambda one: one.score))
            assert found is not None, f"no face in {name}"
            both.append(found.points)
        both[1] = both[1] * FLIP + np.array([true.shape[1] - 1, 0, 0], np.float32)
        yield np.asarray(both, np.float32) / np.float32(np.linalg.norm(both[0][10] - both[0][152]))


def _mirror(seen: Points) -> NDArray[np.intp]:
    """The vertex on the other side: of a mirrored picture the network must find the same face, left for right."""
    apart = sum(np.linalg.norm(mirrored[:, None] - straight[None], axis=2) for straight, mirrored in seen)
    mirror = np.asarray(linear_sum_assignment(apart + apart.T)[1], np.intp)
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    return mirror


def _mean_shape(clips: list[Points], mirror: NDArray[np.intp]) -> Points:
    """Generalised Procrustes mean over the rigid points, each recording with the same weight, upright and in cm."""
    shape = clips[0][0]
    for _ in range(8):
        shape = np.mean([np.mean([_fitted(points, shape) for points in clip], 0) for clip in clips], 0)
        shape = _upright((shape + _fitted((shape * FLIP)[mirror], shape)) / 2, mirror)
    shape = shape * np.float32(FACE_HEIGHT_CM / np.linalg.norm(shape[10] - shape[152]))
    return np.asarray(shape - shape[face_mesh.OVAL].mean(0) * [0, 1, 1], np.float32)


def _fitted(points: Points, shape: Points) -> Points:
    scale, rotation, shift = face_mesh.similarity(points[face_mesh.RIGID], shape[face_mesh.RIGID])
    return np.asarray(scale * points @ rotation.T + shift, np.float32)


def _upright(shape: Points, mirror: NDArray[np.intp]) -> Points:
    """Turn the plane of symmetry to x = 0 and the line from hairline to chin to y; x of the halves exactly opposite."""
    across = np.linalg.svd(shape[mirror] - shape)[2][0]
    across *= np.sign(across[0])
    down = shape[152] - shape[10]
    down -= across * (down @ across)
    down /= np.linalg.norm(down)
    level = (shape - shape[[10, 152]].mean(0)) @ np.stack([across, down, np.cross(across, down)]).T
    return np.asarray((level + (level * FLIP)[mirror]) / 2, np.float32)


def _triangulate(shape: Points, mirror: NDArray[np.intp]) -> NDArray[np.intp]:
    flat = np.stack([np.arctan2(shape[:, 0], AXIS_CM - shape[:, 2]) * RADIUS_CM, shape[:, 1]], 1)
    lower = flat[:, 1] > flat[78, 1]
    lower[face_mesh.UPPER_INNER_LIP], lower[face_mesh.LOWER_INNER_LIP] = False, True
    flat[lower, 1] += LIPS_APART_CM + 2 * LIPS_UNROLLED_CM
    flat[face_mesh.UPPER_INNER_LIP, 1] += LIPS_UNROLLED_CM
    flat[face_mesh.LOWER_INNER_LIP, 1] -= LIPS_UNROLLED_CM
    flat[[78, 308], 0] *= 0.95  # the corners of the mouth lie in folds too
    half = np.flatnonzero((mirror == np.arange(len(mirror))) | (flat[:, 0] < 0))
    triangles = half[Delaunay(flat[half]).simplices]
    oval = flat[face_mesh.OVAL].astype(np.float32)
    within = [cv2.pointPolygonTest(oval, (float(x), float(y)), False) > 0 for x, y in flat[triangles].mean(1)]
    triangles = triangles[within]
    first, second = (flat[triangles[:, side]] - flat[triangles[:, 0]] for side in (1, 2))
    clockwise = first[:, 0] * second[:, 1] > first[:, 1] * second[:, 0]
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    return np.concatenate([triangles, mirror[triangles][:, ::-1]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
