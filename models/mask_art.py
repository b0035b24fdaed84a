"""The built-in masks: faces that are nobody, painted by formula on the unrolled canonical mesh.

The mesh face engine wears them (`worn`), the gallery shows them (`thumbnail`). They hide brows, lids, lips and the
whole oval; through the openings of most of them the wearer's own eyes look out.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_mesh, mesh_warp
from models import mask_canvas as canvas
from models.engines import Frame
from models.mask_canvas import Picture, Plane
from models.portrait import WornFace

TEXTURE_PX = 384
EYES = (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE)
BROWS = (face_mesh.LEFT_BROW, face_mesh.RIGHT_BROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSpec:
    """A built-in mask as the gallery lists it."""

    name: str
    title: str
    description: str


def thumbnail(name: str, size_px: int) -> Frame:
    """The mask seen from the front, (size_px, size_px, 3); raises KeyError for an unknown name."""
    drawn_px = 2 * size_px  # shrunk at the end: the sides are seen so much aslant that fine lines would break up
    art = _draw(name)
    points = face_mesh.with_apron(face_mesh.CANONICAL, canvas.APRON_REACH)
    span = np.ptp(points[:, 1]) * 1.12
    middle = (points.min(0) + points.max(0)) / 2
    points = (points - middle) * np.float32(drawn_px / span) + np.float32(drawn_px / 2)
    whole = mesh_warp.Region(x0=0, y0=0, x1=drawn_px, y1=drawn_px)
    coverage = np.concatenate([np.ones(face_mesh.FACE_POINTS), np.zeros(len(face_mesh.OVAL))])
    layers = np.column_stack([canvas.layout(), coverage]).astype(np.float32)
    grid = mesh_warp.interpolate(points, layers[face_mesh.TRIANGLES], face_mesh.TRIANGLES, whole, drawn_px)
    assert grid is not None, "the canonical face shows all its triangles"
    steady = np.asarray(
        cv2.medianBlur(grid.values, 5), np.float32
    )  # a triangle seen edge on reaches beyond its corners' values
    picture = mesh_warp.sample(art, steady[..., :2]).astype(np.float32)
    shown = cv2.GaussianBlur(np.clip((steady[..., 2] - 0.4) / 0.2, 0, 1), (0, 0), 1.6)[..., None]
    whole_px = np.clip(_backdrop(drawn_px) * (1 - shown) + picture * shown, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(whole_px, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)


@functools.cache
def worn(name: str) -> WornFace:
    """The mask as an identity of the mesh engine; raises KeyError for an unknown name."""
    scale = TEXTURE_PX / canvas.CANVAS_PX
    texture = cv2.resize(_draw(name), (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_AREA)
    corners = ((canvas.layout() + 0.5) * np.float32(scale) - np.float32(0.5))[face_mesh.TRIANGLES]
    return WornFace(
        texture=np.asarray(texture, np.uint8),
        corners=np.ascontiguousarray(corners, np.float32),
        shape=face_mesh.CANONICAL,
        reach=canvas.APRON_REACH,
        opaque=True,
        eyes=0.0 if name == "visor" else 1.0,
        mouth=0.3,
    )


def _backdrop(size_px: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px - 0.5
    glow = np.exp(-(x * x + (y + 0.1) ** 2) * 4)[..., None]
    return np.asarray((canvas.bgr("14161c") * (1 - glow) + canvas.bgr("3a4150") * glow) * 255, np.float32)


@functools.cache
def _draw(name: str) -> Frame:
    picture = PAINTERS[name]()
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)


def _openings(picture: Picture, rim: NDArray[np.float32], edge_px: float = 11.0) -> Picture:
    """Cut eye openings: a dark hollow inside, a bevelled rim around."""
    for eye in EYES:
        hole = canvas.region(eye, scale=1.12)
        away = canvas.distance_from(hole)
        _, y = canvas.axes()
        shade = 0.5 - 0.22 * np.tanh((y - _eye_line_cm(eye)) / 0.5)
        picture = np.asarray(picture * (1 - shade * np.exp(-((away / (2.2 * edge_px)) ** 2)))[..., None], np.float32)
        picture = canvas.mix(picture, rim, np.exp(-(((away - edge_px * 0.45) / (edge_px * 0.28)) ** 2)) * 0.9)
        picture = canvas.mix(picture, canvas.bgr("120d0b"), hole)
    return picture


def _eye_line_cm(eye: NDArray[np.intp]) -> float:
    return float((canvas.layout()[eye, 1].mean() - canvas.CANVAS_PX / 2) * canvas.CANVAS_CM / canvas.CANVAS_PX)


def _mouth_slit(picture: Picture, amount: float = 0.8) -> Picture:
    """The dark line between the lips."""
    corners = [61, 78, 81, 13, 311, 308, 291]
    line = canvas.line_art([canvas.layout()[corners]], [4.0])
    picture = canvas.mix(picture, canvas.bgr("140c0b"), canvas.region(face_mesh.INNER_LIPS, blur_px=1.0))
    return canvas.mix(picture, picture * np.float32(0.25), cv2.GaussianBlur(line, (0, 0), 1.2) * np.float32(amount))


def _rim(picture: Picture, colour: NDArray[np.float32], width_px: float = 10.0) -> Picture:
    """A bevelled edge where the mask ends."""
    layout = canvas.layout()
    outline = (layout[face_mesh.OVAL] + layout[face_mesh.FACE_POINTS :]) / 2
    path = canvas.smooth_outline(outline)
    line = canvas.line_art([np.concatenate([path, path[:1]])], [width_px])
    return canvas.mix(picture, colour, cv2.GaussianBlur(line, (0, 0), 2.0) * np.float32(0.85))


def _crack(rng: np.random.Generator, start: NDArray[np.float64], heading: float, length: int) -> NDArray[np.float32]:
    """A jagged walk over the canvas."""
    path = [start]
    for _ in range(length):
        heading += rng.normal(0, 0.33)
        path.append(path[-1] + rng.uniform(9, 20) * np.array([np.cos(heading), np.sin(heading)]))
    return np.asarray(path, np.float32)


def _crack_paths() -> tuple[list[NDArray[np.float32]], list[float]]:
    """Three fractures from the rim, each with branches that thin out."""
    rng = np.random.default_rng(11)
    layout = canvas.layout().astype(np.float64)
    paths, widths = [], []
    for vertex, heading, length in ((332, 2.05, 26), (132, -0.35, 17), (365, -2.2, 13), (67, 1.25, 8)):
        trunk = _crack(rng, layout[vertex], heading, length)
        paths.append(trunk)
        widths.append(6.0)
        for at in range(4, len(trunk) - 2, 4):
            turn = heading + rng.choice([-1, 1]) * rng.uniform(0.7, 1.15)
            paths.append(_crack(rng, trunk[at].astype(np.float64), turn, int(rng.integers(3, 9))))
            widths.append(3.0)
    return paths, widths


def _porcelain() -> Picture:
    glaze = canvas.plain("f2ece2") + canvas.noise(3, 220)[..., None] * np.float32(0.012)
    x, y = canvas.axes()
    for side in (-1, 1):
        blush = np.exp(-(((x - side * 5.2) / 2.6) ** 2) - ((y - 1.6) / 1.9) ** 2)
        glaze = canvas.mix(glaze, canvas.bgr("e7a79b"), (blush * 0.38).astype(np.float32))
    glaze = canvas.mix(glaze, canvas.bgr("b8433f"), canvas.region(face_mesh.OUTER_LIPS, scale=0.96, blur_px=2.5) * 0.85)
    for brow in BROWS:
        glaze = canvas.mix(glaze, canvas.bgr("26395c"), canvas.region(brow, scale=0.94, blur_px=2.0) * 0.8)
    gold = canvas.line_art(*_crack_paths())
    lips = canvas.region(face_mesh.OUTER_LIPS, scale=1.15, blur_px=3)
    gold = gold * (1 - lips)
    raised = cv2.GaussianBlur(gold, (0, 0), 2.0) * np.float32(0.09)
    vein = canvas.bgr("c8962e") * (1 + 0.25 * canvas.noise(5, 40))[..., None]
    picture = canvas.mix(glaze, glaze * np.float32(0.7), cv2.GaussianBlur(gold, (0, 0), 4.0))
    picture = canvas.mix(picture, vein.astype(np.float32), gold)
    picture = canvas.lit(picture, gloss=0.28, sharpness=38, bump=raised, depth=0.42)
    return _rim(_mouth_slit(_openings(picture, canvas.bgr("d9b25a"))), canvas.bgr("c8962e"), 8)


def _facet_points() -> NDArray[np.intp]:
    """Vertices spread evenly over the face, starting from those that carry its features."""
    layout = canvas.layout()
    chosen = [33, 133, 362, 263, 61, 291, 0, 17, 4, 168, 10, 152, 70, 107, 336, 300, 98, 327, 159, 145, 386, 374]
    chosen += [int(v) for v in np.concatenate([face_mesh.OVAL[::3], face_mesh.FACE_POINTS + np.arange(0, 36, 3)])]
    while len(chosen) < 104:
        apart = np.linalg.norm(layout[:, None] - layout[chosen][None], axis=2).min(1)
        chosen.append(int(apart.argmax()))
    return np.array(chosen)


def _facets() -> Picture:
    points = canvas.layout()[_facet_points()]
    plane = cv2.Subdiv2D((0, 0, canvas.CANVAS_PX, canvas.CANVAS_PX))
    plane.insert(np.clip(points, 1, canvas.CANVAS_PX - 2).tolist())
    picture = canvas.plain("1b1f3a")
    rng = np.random.default_rng(4)
    edges = np.zeros(picture.shape[:2], np.uint8)
    for triangle in np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2):
        if triangle.min() < 0 or triangle.max() >= canvas.CANVAS_PX:
            continue
        outline = np.round(triangle * 16).astype(np.int32)
        colour = _facet_colour(triangle.mean(0), float(rng.uniform(-0.06, 0.06)))
        cv2.fillConvexPoly(picture, outline, colour, cv2.LINE_8, 4)
        cv2.polylines(edges, [outline], True, (255,), 2, cv2.LINE_AA, 4)
    picture = canvas.mix(picture, canvas.bgr("ffe9d6"), edges.astype(np.float32) / 255 * np.float32(0.35))
    return _rim(_mouth_slit(_openings(picture, canvas.bgr("ffd9b8"), 8)), canvas.bgr("ffd9b8"), 6)


def _facet_colour(middle: NDArray[np.float32], jitter: float) -> tuple[float, ...]:
    """Flat light on a facet: from night blue over violet to coral."""
    column, row = np.clip(middle, 0, canvas.CANVAS_PX - 1).astype(int)
    normal = canvas.relief().normals[row, column]
    light = float(np.clip(normal @ np.array([-0.45, -0.4, -0.8], np.float32), 0, 1)) + jitter
    stops = np.stack([canvas.bgr(code) for code in ("141a45", "3d2f86", "b0437f", "ff7a5c", "ffd3a1")])
    place = float(np.clip((light - 0.3) / 0.7, 0, 1)) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    return tuple(float(v) for v in stops[low] + (stops[low + 1] - stops[low]) * (place - low))


def _contour() -> Picture:
    x, y = canvas.axes()
    height = canvas.relief().height + np.float32(1) + canvas.noise(8, 170, 2) * np.float32(0.12)
    tint = np.clip((height + 3) / 11, 0, 1).astype(np.float32)
    picture = canvas.mix(canvas.plain("0c2f33"), canvas.bgr("2e8f7c"), tint)
    picture = canvas.mix(picture, canvas.bgr("e9d8a6"), np.clip((tint - 0.62) / 0.5, 0, 1).astype(np.float32))
    picture = canvas.lit(picture, gloss=0.0, sharpness=10, depth=0.3)
    steep = np.sqrt(cv2.Sobel(height, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(height, cv2.CV_32F, 0, 1) ** 2) / 8 + 1e-4
    for spacing, width, strength in ((0.42, 1.1, 0.55), (2.1, 1.9, 0.95)):
        phase = np.abs((height / spacing + 0.5) % 1 - 0.5) * spacing / steep
        line = np.clip(width + 0.6 - phase, 0, 1).astype(np.float32) * np.float32(strength)
        picture = canvas.mix(picture, canvas.bgr("fdf6e3"), line)
    meridian = np.clip(1.6 - np.abs(x) * canvas.CANVAS_PX / canvas.CANVAS_CM, 0, 1) * (np.sin(y * 9) > 0)
    picture = canvas.mix(picture, canvas.bgr("ff8552"), meridian.astype(np.float32) * np.float32(0.9))
    return _rim(_mouth_slit(_openings(picture, canvas.bgr("fdf6e3"), 8)), canvas.bgr("fdf6e3"), 6)


def _weave() -> Plane:
    """Twill of carbon fibre: light and dark strands in steps."""
    x, y = (axis * np.float32(4.6) for axis in canvas.axes())
    column, row = np.floor(x), np.floor(y)
    across = ((column + row) % 4) < 2
    strand = np.where(across, np.abs(y % 1 - 0.5), np.abs(x % 1 - 0.5))
    return np.asarray(np.where(across, 0.75, 0.35) * (1 - 1.1 * strand), np.float32)


def _visor() -> Picture:
    shell = canvas.plain("15181d") + _weave()[..., None] * canvas.bgr("2b3138")
    lips = canvas.region(face_mesh.OUTER_LIPS, scale=1.0, blur_px=2)
    shell = canvas.mix(shell, canvas.bgr("0d0f12"), lips * np.float32(0.6))
    shell = canvas.lit(shell, gloss=0.42, sharpness=22, depth=0.55)
    x, y = canvas.axes()
    eye_line = _eye_line_cm(np.concatenate(EYES))
    half = 2.15 - 0.05 * np.abs(x) - 0.55 * np.exp(-((x / 1.3) ** 2)) * (y > eye_line)
    inside = np.clip((half - np.abs(y - eye_line + 0.1)) * 16, -1, 1) * 0.5 + 0.5
    glass = canvas.mix(canvas.plain("071422"), canvas.bgr("1fb6d9"), np.clip(0.5 - (y - eye_line) / 5, 0, 1) ** 2)
    streak = np.exp(-(((x * 0.5 + y + 1.6) / 0.55) ** 2)) + 0.5 * np.exp(-(((x * 0.5 + y + 3.2) / 0.25) ** 2))
    glass = canvas.mix(glass, canvas.bgr("e8fbff"), (streak * 0.5).astype(np.float32))
    glow = np.exp(-((np.abs(half - np.abs(y - eye_line + 0.1)) / 0.16) ** 2)).astype(np.float32)
    picture = canvas.mix(shell, glass, inside.astype(np.float32))
    picture = canvas.mix(picture, canvas.bgr("5ff2ff"), glow)
    seam = canvas.line_art(
        [canvas.layout()[path] for path in ([132, 187, 61], [361, 411, 291], [17, 200, 152])], [4.0] * 3
    )
    picture = canvas.mix(picture, canvas.bgr("1fb6d9"), cv2.GaussianBlur(seam, (0, 0), 1.2))
    return _rim(_mouth_slit(picture), canvas.bgr("3b434d"), 10)


def _carved() -> Picture:
    x, y = canvas.axes()
    wander = canvas.noise(21, 300, 3)
    rings = np.sqrt((x * 1.15 + 9 + wander * 1.6) ** 2 + (y * 0.22 + wander) ** 2) * 3.4
    grain = (0.5 + 0.5 * np.sin(rings * 2 * np.pi / 2.2 + canvas.noise(22, 60))).astype(np.float32)
    fibre = cv2.resize(np.random.default_rng(23).uniform(-1, 1, (48, 768)).astype(np.float32), (768, 768))
    picture = canvas.mix(canvas.plain("6b3f22"), canvas.bgr("a8703f"), grain**2 * np.float32(0.8))
    picture = np.asarray(picture * (1 + 0.09 * fibre)[..., None], np.float32)
    ridges = canvas.noise(24, 500, 1) * 0
    for brow in BROWS:
        shape = canvas.region(brow, scale=1.12, blur_px=5)
        ridges = ridges + shape * np.float32(0.35)
        picture = canvas.mix(picture, canvas.bgr("2a1710"), shape * np.float32(0.85))
    lips = canvas.region(face_mesh.OUTER_LIPS, scale=1.06, blur_px=3)
    picture = canvas.mix(picture, canvas.bgr("8e1f1d"), lips * np.float32(0.9))
    mark = canvas.line_art([canvas.layout()[[10, 151, 9]], *_cheek_marks()], [12.0] + [9.0] * 6)
    picture = canvas.mix(picture, canvas.bgr("efe3c8"), cv2.GaussianBlur(mark, (0, 0), 1.2) * np.float32(0.85))
    bump = (ridges + lips * 0.2 - mark * 0.05 + grain * 0.02).astype(np.float32)
    picture = canvas.lit(picture, gloss=0.14, sharpness=14, bump=cv2.GaussianBlur(bump, (0, 0), 2), depth=0.6)
    return _rim(_mouth_slit(_openings(picture, canvas.bgr("efe3c8"), 10)), canvas.bgr("2a1710"), 12)


def _cheek_marks() -> list[NDArray[np.float32]]:
    """Three strokes on each cheek."""
    layout = canvas.layout()
    strokes = []
    for start, end in ((117, 50), (346, 280)):
        for step in range(3):
            shift = np.array([0, 20 + 26 * step], np.float32)
            strokes.append(np.stack([layout[start] + shift, layout[end] + shift]))
    return strokes


MASKS: tuple[MaskSpec, ...] = (
    MaskSpec(name="porcelain", title="Porcelain", description="White glaze, mended with veins of gold"),
    MaskSpec(name="facets", title="Facets", description="Cut like a gem, from night blue to coral"),
    MaskSpec(name="contour", title="Contour", description="A face as a map, drawn in lines of equal height"),
    MaskSpec(name="visor", title="Visor", description="Woven carbon behind a pane of blue glass"),
    MaskSpec(name="carved", title="Carved", description="A stage mask of dark wood, painted by hand"),
)
"""The masks in gallery order; the first is worn by default."""

PAINTERS: dict[str, Callable[[], Picture]] = {
    "porcelain": _porcelain,
    "facets": _facets,
    "contour": _contour,
    "visor": _visor,
    "carved": _carved,
}
