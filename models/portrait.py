"""Making a wearable face out of a portrait, once: hair and background give way to skin, its light is evened.

The mesh face engine calls `make_portrait` with the landmarks of the one face it found. What comes back is what every
identity of that engine is, a `WornFace`: a texture, where the mesh lies on it, and the shape it gives the wearer.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_mesh, portrait_rules
from models.engines import Frame

TEXTURE_PX = 384
TEXTURE_MARGIN = 1.32
MIRROR_BEYOND_YAW_DEG = 22.0
MAX_YAW_DEG = 60.0
APRON_REACH = face_mesh.apron_reach(1.14, 1.42)
HIGHLIGHT_CUT = 0.6
STRAND_CONTRAST = 22.0
"""Skin this much darker (of 255) than what is around it is a strand of hair or the shadow of one."""

CHEEKS = np.array(
    [50, 101, 118, 117, 36, 205, 187, 280, 330, 347, 346, 266, 425, 411, 4, 5, 195, 197, 6, 168, 9, 151, 199, 200, 18]
    + [421, 201]
)
CORE_OUTLINE = np.array([63, 105, 66, 296, 334, 293, 116, 345, 187, 411, 210, 430, 32, 262, 199])
LAB_WEIGHT = np.array([0.5, 1.3, 1.3], np.float32)
"""Lightness tells skin from hair worse than colour does, because of shadows."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class WornFace:
    """An identity of the mesh engine. Immutable and shared by all calls that wear it.

    `texture` is BGR; `corners` (triangles, 3, 2) lays the mesh with its apron on it, in texture pixels; `shape`
    (468, 3) is the identity's own geometry in any scale, `reach` (36,) how far its apron goes. An `opaque` face is a
    mask: it keeps its own colours, takes only the scene's light, and ends at a rim. `eyes` and `mouth` are the shares
    of the wearer's own eyes and (open) inner mouth that are shown, 0..1.
    """

    texture: Frame
    corners: NDArray[np.float32]
    shape: face_mesh.Points
    reach: NDArray[np.float32]
    opaque: bool
    eyes: float
    mouth: float


def make_portrait(picture: Frame, landmarks: face_mesh.Points) -> WornFace:
    """Build the wearable face of a portrait from its 468 landmarks (px of `picture`).

    Raises `PortraitError` for a face too small or turned too far.
    """
    yaw_deg, _ = face_mesh.yaw_pitch_deg(landmarks)
    worth(landmarks)
    crop, points = _crop(picture, landmarks)
    skin = _skin_membership(crop, points)
    cleaned = _replace_with_skin(crop, points, skin)
    skin = cv2.GaussianBlur(skin * (_features_mask(points) == 0), (0, 0), TEXTURE_PX / 96)
    texture = _tame_highlights(cleaned, np.asarray(skin, np.float32))
    return WornFace(
        texture=texture,
        corners=_corners(points, yaw_deg),
        shape=points.astype(np.float32),
        reach=APRON_REACH,
        opaque=False,
        eyes=0.0,
        mouth=1.0,
    )


def worth(landmarks: face_mesh.Points) -> float:
    """How much of a face its picture shows, in pixels: the larger and the more frontal, the more.

    Raises `PortraitError` for a face too small or turned too far.
    """
    extent_px = float(np.ptp(landmarks[face_mesh.OVAL, :2], axis=0).max())
    portrait_rules.require_size(extent_px)
    yaw_deg, _ = face_mesh.yaw_pitch_deg(landmarks)
    if abs(yaw_deg) > MAX_YAW_DEG:
        raise portrait_rules.turned_away()
    return extent_px * float(np.cos(np.radians(yaw_deg)))


def _crop(picture: Frame, landmarks: face_mesh.Points) -> tuple[Frame, face_mesh.Points]:
    oval = landmarks[face_mesh.OVAL, :2]
    low, high = oval.min(0), oval.max(0)
    side = float((high - low).max()) * TEXTURE_MARGIN
    scale = TEXTURE_PX / side
    shift = TEXTURE_PX / 2 - (low + high) / 2 * scale
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    if scale < 0.6:  # warpAffine does not average: shrink first
        factor = scale * 1.5
        picture = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=shrink), np.uint8)
        matrix[:, :2] /= factor
    crop = cv2.warpAffine(
        picture, matrix, (TEXTURE_PX, TEXTURE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    points = landmarks * np.float32(scale)
    points[:, :2] += shift
    return np.asarray(crop, np.uint8), points


def _oval_mask(points: face_mesh.Points, scale: float) -> Frame:
    mask = np.zeros((TEXTURE_PX, TEXTURE_PX), np.uint8)
    oval = points[face_mesh.OVAL, :2]
    middle = points[[4, 168], :2].mean(0)
    cv2.fillPoly(mask, [np.round(middle + (oval - middle) * scale).astype(np.int32)], (255,))
    return mask


def _features_mask(points: face_mesh.Points) -> Frame:
    """Eyes, brows and lips with a margin: never taken for skin, never painted over."""
    mask = np.zeros((TEXTURE_PX, TEXTURE_PX), np.uint8)
    margins = (
        (face_mesh.LEFT_EYE, 0.05), (face_mesh.RIGHT_EYE, 0.05), (face_mesh.OUTER_LIPS, 0.02),
        (face_mesh.LEFT_BROW, 0.018), (face_mesh.RIGHT_BROW, 0.018),
    )  # fmt: skip
    for group, margin in margins:
        part = np.zeros_like(mask)
        cv2.fillConvexPoly(part, cv2.convexHull(np.round(points[group, :2]).astype(np.int32)), (255,))
        width = int(margin * TEXTURE_PX) | 1
        mask |= np.asarray(cv2.dilate(part, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))), np.uint8)
    return mask


def _skin_membership(crop: Frame, points: face_mesh.Points) -> Plane:
    """How much each pixel looks like this face's skin, 0..1, from the colours of cheeks, nose and chin."""
    lab = cv2.cvtColor(cv2.GaussianBlur(crop, (0, 0), TEXTURE_PX / 128), cv2.COLOR_BGR2LAB).astype(np.float32)
    at = np.clip(points[CHEEKS, :2].astype(int), 0, TEXTURE_PX - 1)
    seen = lab[at[:, 1], at[:, 0]]
    typical = np.median(seen, 0)
    spread = 1.4826 * float(np.median(np.linalg.norm((seen - typical) * LAB_WEIGHT, axis=1)))
    distance = np.linalg.norm((lab - typical) * LAB_WEIGHT, axis=2)
    likeness = np.clip(1.7 - distance / (2.1 * np.clip(spread, 11, 18)), 0, 1)
    light = cv2.cvtColor(cv2.GaussianBlur(crop, (0, 0), 1.0), cv2.COLOR_BGR2LAB)[..., 0]
    strand = cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (23, 23)))
    return np.asarray(likeness * np.clip((STRAND_CONTRAST - strand.astype(np.float32)) / 6, 0, 1), np.float32)


def _core_mask(points: face_mesh.Points) -> Frame:
    """From the brows to the chin, within the cheeks: kept as it is, beard and shadows included."""
    mask = np.zeros((TEXTURE_PX, TEXTURE_PX), np.uint8)
    hull = cv2.convexHull(np.round(points[CORE_OUTLINE, :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (255,))
    return mask


def _replace_with_skin(crop: Frame, points: face_mesh.Points, skin: Plane) -> Frame:
    """Keep the features and what is skin; let skin flow into hair, background and whatever lies beyond the oval."""
    features, oval = _features_mask(points), _oval_mask(points, 0.97)
    core = cv2.GaussianBlur(np.maximum(features, _core_mask(points)), (0, 0), TEXTURE_PX * 0.015)
    eroded = cv2.erode(skin, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    sure = _connected(np.asarray(eroded, np.float32), points)
    solid = cv2.GaussianBlur(sure, (0, 0), TEXTURE_PX * 0.02)
    keep = np.maximum(core.astype(np.float32) / 255, solid) * (oval > 0)
    keep = cv2.GaussianBlur(keep, (0, 0), TEXTURE_PX / 96)[..., None]
    evidence = ((sure > 0.5) & (oval > 0) & (features == 0)).astype(np.float32)
    filled = _diffuse(crop.astype(np.float32), evidence)
    return np.clip(crop * keep + filled * (1 - keep), 0, 255).astype(np.uint8)


def _connected(skin: Plane, points: face_mesh.Points) -> Plane:
    """Only the skin that hangs together with the cheeks: not fair hair, not a wall of the same colour."""
    _, labels = cv2.connectedComponents(np.where(skin > 0.5, 255, 0).astype(np.uint8))
    at = np.clip(points[CHEEKS, :2].astype(int), 0, TEXTURE_PX - 1)
    seen = labels[at[:, 1], at[:, 0]]
    face = np.isin(labels, seen[seen > 0])
    return np.asarray(skin * cv2.dilate(face.astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)


def _diffuse(picture: Plane, evidence: Plane) -> Plane:
    """Fill a picture from the pixels that count, near ones first, plus a little grain against a plastic look."""
    filled = np.zeros_like(picture)
    taken = np.zeros_like(evidence)
    for sigma in (6, 14, 32, 80):
        weight = cv2.GaussianBlur(evidence, (0, 0), sigma)
        mean = cv2.GaussianBlur(picture * evidence[..., None], (0, 0), sigma) / (weight[..., None] + 1e-4)
        share = np.clip(weight * 6, 0, 1) * (1 - taken)
        filled += mean * share[..., None]
        taken += share
    counted = picture[evidence > 0]
    rest = np.median(counted, 0) if len(counted) else np.array([140, 160, 190], np.float32)
    filled += rest * (1 - taken)[..., None]
    return np.asarray(filled + _grain_like(picture, evidence), np.float32)


def _grain_like(picture: Plane, evidence: Plane) -> Plane:
    """Seeded grain as strong as the fine structure of the skin that is seen: filled skin must not look waxen."""
    fine = picture.mean(2) - cv2.GaussianBlur(picture.mean(2), (0, 0), 2.5)
    strength = float(np.clip(fine[evidence > 0].std() if (evidence > 0).any() else 0.0, 1.0, 6.0))
    grain = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, evidence.shape), (0, 0), 1.1)
    return np.asarray((grain * (strength / grain.std()))[..., None], np.float32)


def _tame_highlights(texture: Frame, skin: Plane) -> Frame:
    """Press the portrait's own highlights towards the skin around them; the wearer's light replaces them."""
    lab = cv2.cvtColor(texture, cv2.COLOR_BGR2LAB)
    light = lab[..., 0].astype(np.float32)
    sigma = TEXTURE_PX * 0.11
    around = cv2.GaussianBlur(light * skin, (0, 0), sigma) / (cv2.GaussianBlur(skin, (0, 0), sigma) + 1e-3)
    excess = np.maximum(cv2.GaussianBlur(light, (0, 0), TEXTURE_PX / 128) - around - 8, 0)
    lab[..., 0] = np.clip(light - HIGHLIGHT_CUT * excess * skin, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR), np.uint8)


def _corners(points: face_mesh.Points, yaw_deg: float) -> NDArray[np.float32]:
    """Lay the mesh on the texture; of a face turned away the hidden half borrows the visible one, mirrored."""
    whole = face_mesh.with_apron(points, APRON_REACH)[:, :2]
    corners = whole[face_mesh.TRIANGLES]
    if abs(yaw_deg) > MIRROR_BEYOND_YAW_DEG:
        across = face_mesh.CANONICAL[:, 0][face_mesh.FACE_TRIANGLES].mean(1)
        hidden = np.flatnonzero(across * np.sign(yaw_deg) > 0)
        corners[hidden] = whole[face_mesh.MIRROR[face_mesh.FACE_TRIANGLES[hidden]]]
    return np.ascontiguousarray(corners, np.float32)
