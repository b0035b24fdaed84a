"""Putting a worn face on one tracked face of one call: fit, warp, colour, matte and blend, in that order.

`mesh_face_engine` holds one `FaceDresser` a track. All that is smoothed over frames (shape, colour, what is in front)
lives here and starts afresh with a new track or identity.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_colour, face_matte, face_mesh, mesh_warp
from models.engines import Frame
from models.eyelids import Eyelids
from models.portrait import WornFace

GRID_PX = 120
WORK_PX = 320
SHAPE_STRENGTH = 0.85
CONTACT_SHADOW, CONTACT_SHADOW_CELLS = 0.5, 4.0
SEAM_SIGMA_CELLS = 1.2
SHAPE_LEARN_S = 1.0
MIN_FACE_PX = 40.0
MAX_YAW_DEG = 62.0
MAX_COVERED_SHARE = 0.6

Plane = NDArray[np.float32]
Mark = Callable[[str], None]


class FaceDresser:
    """One face of one call wearing one identity."""

    def __init__(self, worn: WornFace) -> None:
        self._worn = worn
        self._deviation: face_mesh.Points | None = None
        self._colour = face_colour.ColourMatch()
        self._guard = face_matte.OcclusionGuard()
        self._lids = Eyelids()
        self._coverage = face_matte.mask_coverage() if worn.opaque else face_matte.rim_coverage()
        self._core = face_matte.core_weight()
        self._weight = _shape_weight(worn.opaque)
        self._last_s: float | None = None

    def dress(self, frame: Frame, landmarks: face_mesh.Points, time_s: float, mark: Mark) -> bool:
        """Draw the identity onto `frame` in place; False, with the frame untouched, when it cannot be done safely."""
        elapsed_s = 0.04 if self._last_s is None else max(time_s - self._last_s, 1e-3)
        self._last_s = time_s
        if not _wearable(landmarks):
            return False
        occlusion = self._guard.look(frame, landmarks, elapsed_s)
        if occlusion.share > MAX_COVERED_SHARE and not self._worn.opaque:
            return False
        grid = self._grid(frame, landmarks, occlusion, elapsed_s)
        if grid is None:
            return False
        texture, wearer = self._sample(frame, grid)
        mark("warp")
        return self._composite(frame, grid, texture, wearer, landmarks, mark)

    def _grid(
        self, frame: Frame, landmarks: face_mesh.Points, occlusion: face_matte.Occlusion, elapsed_s: float
    ) -> mesh_warp.Grid | None:
        """Lay texture position, frame position, coverage, core and occlusion over the reshaped face."""
        reshaped = self._reshape(landmarks, elapsed_s)
        own = face_mesh.with_apron(landmarks, self._worn.reach)
        drawn = np.concatenate([reshaped, own[face_mesh.FACE_POINTS :]])
        region = mesh_warp.region_around(drawn, frame.shape[1], frame.shape[0])
        if region is None:
            return None
        place = own[:, :2] - np.array([region.x0, region.y0], np.float32)
        layers = np.column_stack([place, self._coverage, self._core, occlusion.vertices])
        corners = np.concatenate([self._worn.corners, layers[face_mesh.TRIANGLES]], 2, dtype=np.float32)
        grid = mesh_warp.interpolate(drawn, corners, face_mesh.TRIANGLES, region, GRID_PX)
        if grid is None:
            return None
        outside = grid.inside == 0
        grid.values[outside, 2:4] = grid.frame_positions()[outside]
        # An open mouth worn on a shut one is a jump in the map: without this its line shows the grid's steps.
        grid.values[..., :2] = cv2.GaussianBlur(grid.values[..., :2], (5, 5), SEAM_SIGMA_CELLS)
        return grid

    def _reshape(self, landmarks: face_mesh.Points, elapsed_s: float) -> face_mesh.Points:
        """Move the wearer's vertices towards the identity's shape, keeping what changes from frame to frame."""
        shape = self._worn.shape
        scale, rotation, shift = face_mesh.similarity(shape[face_mesh.RIGID], landmarks[face_mesh.RIGID])
        deviation = (((landmarks - shift) @ rotation) / np.float32(scale) - shape).astype(np.float32)
        if self._deviation is None:
            self._deviation = deviation
        self._deviation = self._deviation + np.float32(min(elapsed_s / SHAPE_LEARN_S, 1.0)) * (
            deviation - self._deviation
        )
        lasting = _same_for_both_lips(self._deviation)
        moved = landmarks - (SHAPE_STRENGTH * self._weight * lasting) @ rotation.T * scale
        closed = self._lids.follow(np.asarray(moved, np.float32), landmarks, elapsed_s)
        return _uncrossed_lips(closed, rotation[:, 1])

    def _sample(self, frame: Frame, grid: mesh_warp.Grid) -> tuple[Frame, Frame]:
        region = grid.region
        ratio = min(1.0, WORK_PX / max(region.width, region.height))
        size = (round(region.width * ratio), round(region.height * ratio))
        positions = mesh_warp.upsample(grid.values[..., :4], size)
        texture = mesh_warp.sample(self._worn.texture, positions[..., :2])
        return texture, mesh_warp.sample(region.cut(frame), positions[..., 2:4])

    def _composite(
        self, frame: Frame, grid: mesh_warp.Grid, texture: Frame, wearer: Frame, landmarks: face_mesh.Points, mark: Mark
    ) -> bool:
        coverage, core, occluded = (np.clip(grid.values[..., channel], 0, 1) for channel in (4, 5, 6))
        small_texture, small_wearer = _shrink(texture, grid.size), _shrink(wearer, grid.size)
        own = face_matte.own_features(grid, landmarks, eyes=self._worn.eyes, mouth=self._worn.mouth)
        skin = coverage * (1 - own) * (1 - occluded)
        if not self._worn.opaque:
            likeness = face_matte.skin_likeness(small_wearer, skin * core)
            skin *= likeness
            coverage = coverage * np.maximum(likeness, core)
        mark("matte")
        difference = self._difference(small_texture, small_wearer, skin)
        if difference is None:
            return False
        size = (texture.shape[1], texture.shape[0])
        coloured = cv2.add(texture, cv2.resize(difference, size), dtype=cv2.CV_8U)
        mark("colour")
        mattes = _Mattes(self._edge(coverage), own, occluded)
        around = _shadowed(wearer, mattes.covered) if self._worn.opaque else wearer
        _blend(frame, grid, np.asarray(coloured, np.uint8), around, mattes)
        mark("blend")
        return True

    def _difference(self, texture: Frame, wearer: Frame, skin: Plane) -> NDArray[np.int16] | None:
        if self._worn.opaque:
            return face_colour.shade(texture, wearer, skin, 0.6)
        return self._colour.difference(texture, wearer, skin)

    def _edge(self, coverage: Plane) -> Plane:
        if self._worn.opaque:
            return np.asarray(np.clip((coverage - 0.4) / 0.2, 0, 1), np.float32)
        return np.asarray(cv2.GaussianBlur(np.clip((coverage - 0.3) / 0.7, 0, 1), (0, 0), 0.015 * GRID_PX), np.float32)


class _Mattes:
    """The three mattes of one face on its grid: what the identity covers, the wearer's features, what is in front."""

    __slots__ = ("covered", "occluded", "own")

    def __init__(self, covered: Plane, own: Plane, occluded: Plane) -> None:
        self.covered, self.own, self.occluded = covered, own, occluded


def _blend(frame: Frame, grid: mesh_warp.Grid, coloured: Frame, wearer: Frame, mattes: _Mattes) -> None:
    size = (coloured.shape[1], coloured.shape[0])
    own = mesh_warp.upsample(mattes.own, size)
    face = cv2.blendLinear(wearer, coloured, own, 1 - own)
    if mattes.occluded.max() > 0.05:
        hidden = mesh_warp.upsample(mattes.occluded, size)
        face = cv2.blendLinear(_frosted(wearer), face, hidden, 1 - hidden)
    covered = mesh_warp.upsample(mattes.covered, size)
    face = cv2.blendLinear(face, wearer, covered, 1 - covered)
    region = grid.region
    if size != (region.width, region.height):
        face = cv2.resize(face, (region.width, region.height), interpolation=cv2.INTER_LINEAR)
    edge = cv2.GaussianBlur(cv2.erode(grid.inside, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    edge = cv2.resize(edge, (region.width, region.height)).astype(np.float32) / np.float32(255)
    under = np.ascontiguousarray(region.cut(frame))
    region.cut(frame)[:] = cv2.blendLinear(np.asarray(face, np.uint8), under, edge, 1 - edge)


def _shadowed(wearer: Frame, covered: Plane) -> Frame:
    """The wearer's picture with the soft shadow that a mask throws on what it lies on."""
    shadow = cv2.GaussianBlur(covered, (0, 0), CONTACT_SHADOW_CELLS) * np.float32(-CONTACT_SHADOW) + np.float32(1)
    light = mesh_warp.upsample(np.asarray(shadow, np.float32), (wearer.shape[1], wearer.shape[0]))
    return np.asarray(cv2.multiply(wearer, cv2.merge([light] * 3), dtype=cv2.CV_8U), np.uint8)


def _frosted(picture: Frame) -> Frame:
    """The picture from at most 12 x 12 pixels: it tells that a hand is there, not whose face is behind."""
    small = cv2.resize(picture, (12, 12), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_CUBIC), np.uint8)


def _shrink(picture: Frame, size: tuple[int, int]) -> Frame:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _wearable(landmarks: face_mesh.Points) -> bool:
    if not np.isfinite(landmarks).all():
        return False
    if np.ptp(landmarks[face_mesh.OVAL, :2], axis=0).max() < MIN_FACE_PX:
        return False
    yaw_deg, _ = face_mesh.yaw_pitch_deg(landmarks)
    return abs(yaw_deg) < MAX_YAW_DEG


def _same_for_both_lips(deviation: face_mesh.Points) -> face_mesh.Points:
    """Shift both lips alike, so that a smiling portrait does not hold a shut mouth open."""
    shared = deviation.copy()
    middle = (deviation[face_mesh.UPPER_INNER_LIP] + deviation[face_mesh.LOWER_INNER_LIP]) / 2
    shared[face_mesh.UPPER_INNER_LIP] = shared[face_mesh.LOWER_INNER_LIP] = middle
    return shared


def _uncrossed_lips(points: face_mesh.Points, down: NDArray[np.float32]) -> face_mesh.Points:
    """Bring lips that overlap to the line between them: overlapping triangles would tear it."""
    upper, lower = points[face_mesh.UPPER_INNER_LIP], points[face_mesh.LOWER_INNER_LIP]
    overlap = np.minimum((lower - upper) @ down, 0)[:, None] / 2
    points[face_mesh.UPPER_INNER_LIP] = upper + overlap * down
    points[face_mesh.LOWER_INNER_LIP] = lower - overlap * down
    return points


def _shape_weight(opaque: bool) -> NDArray[np.float32]:
    """How much of the identity's shape each vertex takes: less towards the oval, where the picture around begins."""
    weight = np.choose(np.minimum(face_mesh.RINGS, 2), [0.8, 0.9, 1.0]).astype(np.float32)
    return np.ones_like(weight)[:, None] if opaque else weight[:, None]
