"""Where a worn face shows and where it does not: its feathered rim, the wearer's hair, eyes and inner mouth, and hands.

Works on the mesh grid (about 112 px). The rule under all of it: inside the face the wearer's own pixels are shown
only as hair at the rim, inside the lids and between open lips; whatever else is not worn is blurred, never raw.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_mesh
from models.engines import Frame
from models.mesh_warp import Grid

Plane = NDArray[np.float32]

LAB_WEIGHT = np.array([0.5, 1.3, 1.3], np.float32)
EXPOSURE_DRIFT = np.array([16, 5, 5], np.float32)
"""Lab that the whole face may change by through the camera's exposure and white balance, not through a hand."""
FOREHEAD_ABOVE_CM = -5.5
"""Canonical height (y down) above which the oval runs along the forehead."""
MOUTH_SHUT, MOUTH_OPEN = 0.02, 0.06
"""Gap between the lips over the distance of the outer eye corners: below the first the mouth is wholly the mask's."""


def rim_coverage() -> Plane:
    """Opacity of each vertex of mesh and apron: whole inside the oval, fading over the apron, later over a forehead.

    Values above 1 are meant: interpolated and clipped they keep the first part of the apron whole.
    """
    inside = np.ones(face_mesh.FACE_POINTS)
    inside[face_mesh.OVAL] = np.where(face_mesh.CANONICAL[face_mesh.OVAL, 1] < FOREHEAD_ABOVE_CM, 2.0, 1.0)
    return np.concatenate([inside, np.zeros(len(face_mesh.OVAL))]).astype(np.float32)


def mask_coverage() -> Plane:
    """The same for an opaque mask, which ends sharply half way out on the apron."""
    return np.concatenate([np.ones(face_mesh.FACE_POINTS), np.zeros(len(face_mesh.OVAL))]).astype(np.float32)


def core_weight() -> Plane:
    """1 where the face must stay covered whatever the pixels look like, 0 at the rim where hair may show."""
    inside = np.clip((face_mesh.RINGS.astype(np.float32) + 0.6) / 1.6, 0, 1)
    return np.concatenate([inside, np.zeros(len(face_mesh.OVAL))]).astype(np.float32)


def skin_likeness(wearer: Frame, counted: Plane) -> Plane:
    """How much each cell of the wearer's picture looks like the skin found where `counted` is high, 0..1."""
    lab = cv2.cvtColor(wearer, cv2.COLOR_BGR2LAB).astype(np.float32)
    mean, spread = cv2.meanStdDev(lab, mask=np.where(counted > 0.5, 255, 0).astype(np.uint8))
    offset = (lab - mean[:, 0].astype(np.float32)) * LAB_WEIGHT
    distance = np.sqrt(np.einsum("ijk,ijk->ij", offset, offset))
    tolerance = float(np.clip(np.linalg.norm(spread[:, 0] * np.array([0.5, 1.0, 1.0])), 9, 14))
    return np.asarray(np.clip(2.2 - distance / (1.3 * tolerance), 0, 1), np.float32)


def own_features(grid: Grid, landmarks: face_mesh.Points, *, eyes: float, mouth: float) -> Plane:
    """Where the wearer's own eyes and, when it is open, inner mouth show through, at these shares: 0..1."""
    columns, rows = grid.size
    matte = np.zeros((rows, columns), np.uint8)
    if eyes > 0:
        for eye in (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE):
            cv2.fillPoly(matte, [_fixed(grid.points[eye])], (round(255 * eyes),), cv2.LINE_8, 4)
    mouth *= mouth_openness(landmarks)
    if mouth > 0:
        cv2.fillPoly(matte, [_fixed(grid.points[face_mesh.INNER_LIPS])], (round(255 * mouth),), cv2.LINE_8, 4)
    return cv2.GaussianBlur(matte, (0, 0), 0.009 * max(columns, rows)).astype(np.float32) / np.float32(255)


def mouth_openness(landmarks: face_mesh.Points) -> float:
    """0 for closed lips .. 1 for parted ones."""
    gap = float(np.linalg.norm(landmarks[13, :2] - landmarks[14, :2]))
    width = float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))
    return float(np.clip((gap / max(width, 1.0) - MOUTH_SHUT) / (MOUTH_OPEN - MOUTH_SHUT), 0, 1))


def _fixed(points: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.round(points * 16).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """What is in front of a face: a score a vertex (468 + apron, 0..1) and the share of the face that is covered."""

    vertices: Plane
    share: float


class OcclusionGuard:
    """Remembers the colours of a wearer's face at its vertices and sees when something else is in their place.

    A hand is skin too, so colour alone cannot tell it; a change against the wearer's own slow average can, or the
    loss of the pattern that nose, brows and lips make. Vertices that prove nothing follow their neighbours.
    """

    LEARN_S = 2.0
    CHANGE_FROM, CHANGE_TO = 15.0, 26.0
    LEARN_BELOW = 0.25
    NOTICE_FROM = 0.03
    """Share of the face below which it is a shadow or a strand of hair."""
    RELIEF_FROM = 9.0
    LIKENESS_LOST = 0.5

    def __init__(self) -> None:
        self._memory: Plane | None = None
        self._judged = _judged_vertices()
        self._even = _even_vertices(60)
        self._spread = _neighbour_average()

    def look(self, frame: Frame, landmarks: face_mesh.Points, elapsed_s: float) -> Occlusion:
        """Judge one frame (BGR) in which the face's vertices lie at `landmarks` (468, 3) px."""
        seen = _colours_at(frame, landmarks)
        if self._memory is None:
            self._memory = seen
        change = seen - self._memory
        change -= np.clip(np.median(change[self._even], 0), -EXPOSURE_DRIFT, EXPOSURE_DRIFT)
        distance = np.linalg.norm(change * LAB_WEIGHT, axis=1) * self._judged
        colour = (self._spread @ distance - self.CHANGE_FROM) / (self.CHANGE_TO - self.CHANGE_FROM)
        score = np.clip(np.maximum(colour, self._lost_relief(seen[:, 0])), 0, 1)
        share = float(score[self._even].mean())
        shown = score * np.clip((share - self.NOTICE_FROM) / self.NOTICE_FROM, 0, 1)
        rate = min(elapsed_s / self.LEARN_S, 1.0) * (1.0 if share < self.LEARN_BELOW else 0.25)
        self._memory += np.float32(rate) * (seen - self._memory) * (1 - 0.8 * score)[:, None]
        return Occlusion(vertices=np.concatenate([shown, shown[face_mesh.OVAL]]).astype(np.float32), share=share)

    def _lost_relief(self, light: Plane) -> Plane:
        """Where the pattern of light and dark that nose, brows and lips make has gone: -inf..1."""
        assert self._memory is not None
        known = self._memory[:, 0]
        both, known_mean, mean = (self._spread @ values for values in (known * light, known, light))
        known_spread = np.sqrt(np.maximum(self._spread @ known**2 - known_mean**2, 1.0))
        spread = np.sqrt(np.maximum(self._spread @ light**2 - mean**2, 1.0))
        likeness = (both - known_mean * mean) / (known_spread * spread)
        telling = np.clip((known_spread - self.RELIEF_FROM) / self.RELIEF_FROM, 0, 1)
        return np.asarray(telling * (self.LIKENESS_LOST - likeness) / self.LIKENESS_LOST, np.float32)


def _judged_vertices() -> NDArray[np.bool_]:
    """Not lids and inner lips, which change by themselves, nor the rim, where hair and background come and go."""
    judged = face_mesh.RINGS >= 3
    for group in (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE, face_mesh.INNER_LIPS):
        judged[group] = False
    return np.asarray(judged, np.bool_)


def _even_vertices(count: int) -> NDArray[np.intp]:
    """Judged vertices spread evenly over the face: the mesh is dense around the mouth, where hands go."""
    allowed = np.flatnonzero(_judged_vertices())
    shape = face_mesh.CANONICAL[allowed]
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(np.linalg.norm(shape[:, None] - shape[chosen][None], axis=2).min(1).argmax()))
    return allowed[chosen]


def _neighbour_average() -> Plane:
    """Matrix (468, 468) that averages over judged vertices near each vertex on the canonical face."""
    apart = np.linalg.norm(face_mesh.CANONICAL[:, None] - face_mesh.CANONICAL[None], axis=2)
    weight = np.exp(-0.5 * (apart / 0.9) ** 2) * _judged_vertices()[None]
    return np.asarray(weight / weight.sum(1, keepdims=True), np.float32)


def _colours_at(frame: Frame, landmarks: face_mesh.Points) -> Plane:
    """Lab at each vertex of a picture shrunk until the face is about 64 px high, so that noise is averaged away."""
    low = np.floor(landmarks[:, :2].min(0)).astype(int)
    high = np.ceil(landmarks[:, :2].max(0)).astype(int) + 1
    rows, columns = frame.shape[:2]
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    part = frame[y0 : max(min(int(high[1]), rows), y0 + 1), x0 : max(min(int(high[0]), columns), x0 + 1)]
    if part.size == 0:
        return np.zeros((face_mesh.FACE_POINTS, 3), np.float32)
    small = np.asarray(cv2.resize(part, (56, 64), interpolation=cv2.INTER_AREA), np.uint8)
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB)
    scale = np.array([56 / part.shape[1], 64 / part.shape[0]])
    at = ((landmarks[:, :2] - [x0, y0]) * scale).astype(int)
    return np.asarray(lab[np.clip(at[:, 1], 0, 63), np.clip(at[:, 0], 0, 55)], np.float32)
