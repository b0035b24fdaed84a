"""Warping a texture onto a face mesh in one remap: triangles are rastered small, their affine maps looked up.

The mesh face engine calls it once per face and frame; masks draw their thumbnails through it. Rastering triangle ids
at about 112 px and upsampling one map costs a tenth of warping every triangle on its own.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
MIN_AREA_PX2 = 1e-3
SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of a frame in whole pixels, x1 and y1 exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The rectangle as a view of the frame."""
        return frame[self.y0 : self.y1, self.x0 : self.x1]


def region_around(points: NDArray[np.float32], width_px: int, height_px: int) -> Region | None:
    """The part of a frame that holds the points with a margin of one pixel; None when hardly any of it does."""
    low = np.floor(points[:, :2].min(0)).astype(int) - 1
    high = np.ceil(points[:, :2].max(0)).astype(int) + 2
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), width_px), min(int(high[1]), height_px)
    if x1 - x0 < 16 or y1 - y0 < 16:
        return None
    return Region(x0=x0, y0=y0, x1=x1, y1=y1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Corner values interpolated over the mesh on a small grid that covers `region`.

    `values` is (rows, columns, channels), zero outside the mesh; `inside` is 255 where a triangle was drawn;
    `points` are the mesh vertices in grid pixels.
    """

    region: Region
    values: Map
    inside: NDArray[np.uint8]
    points: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""
        return self.inside.shape[1], self.inside.shape[0]

    def frame_positions(self) -> Map:
        """Where each grid pixel's centre lies, in pixels of the region: (rows, columns, 2)."""
        columns, rows = self.size
        x = (np.arange(columns, dtype=np.float32) + 0.5) * np.float32(self.region.width / columns) - 0.5
        y = (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(self.region.height / rows) - 0.5
        return np.stack(np.meshgrid(x, y), -1)


def interpolate(
    points: NDArray[np.float32],
    corners: NDArray[np.float32],
    triangles: NDArray[np.int32],
    region: Region,
    grid_px: int,
) -> Grid | None:
    """Interpolate per-corner values over a mesh drawn at `points`.

    `points` (n, 3) are frame pixels, z away from the camera: nearer triangles cover farther ones, and triangles seen
    from behind are left out. `corners` is (triangles, 3, channels). None when most of the mesh faces away.
    """
    scale = grid_px / max(region.width, region.height)
    columns, rows = max(8, round(region.width * scale)), max(8, round(region.height * scale))
    ratio = np.array([columns / region.width, rows / region.height], np.float32)
    flat = (points[:, :2] - np.array([region.x0, region.y0], np.float32) + 0.5) * ratio - 0.5
    origin, first, second, area = _edges(flat[triangles])
    seen = np.flatnonzero(area > MIN_AREA_PX2)
    if len(seen) < len(triangles) // 2:
        return None
    seen = seen[np.argsort(-points[:, 2][triangles[seen]].sum(1), kind="stable")]
    ids = _raster(flat[triangles[seen]], seen, columns, rows)
    table = _affine_table(corners, origin, first, second, area)
    return Grid(
        region=region, values=_look_up(table, ids), inside=np.where(ids > 0, 255, 0).astype(np.uint8), points=flat
    )


def upsample(values: Map, size: tuple[int, int]) -> Map:
    """Enlarge a grid bilinearly to (width, height)."""
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)


def sample(texture: NDArray[np.uint8], positions: Map) -> NDArray[np.uint8]:
    """Look a picture up at positions (rows, columns, 2), float32: cv2.remap takes nothing else rightly."""
    x, y = np.ascontiguousarray(positions[..., 0]), np.ascontiguousarray(positions[..., 1])
    picture = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8)


def _edges(corner_points: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    origin = corner_points[:, 0]
    first, second = corner_points[:, 1] - origin, corner_points[:, 2] - origin
    return origin, first, second, first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1]


def _raster(corner_points: NDArray[np.float32], names: NDArray[np.intp], columns: int, rows: int) -> NDArray[np.int16]:
    ids = np.zeros((rows, columns), np.int16)
    fixed = np.round(corner_points * (1 << SUBPIXEL_BITS)).astype(np.int32)
    fill = cv2.fillConvexPoly
    for name, triangle in zip((names + 1).tolist(), fixed, strict=True):
        fill(ids, triangle, name, cv2.LINE_8, SUBPIXEL_BITS)
    return ids


def _affine_table(
    corners: NDArray[np.float32],
    origin: NDArray[np.float32],
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    area: NDArray[np.float32],
) -> Map:
    """One row per triangle id: slope in x, slope in y, value at the grid's origin. Row 0 is the outside."""
    channels = corners.shape[2]
    value = corners[:, 0]
    along_first, along_second = corners[:, 1] - value, corners[:, 2] - value
    divisor = -np.where(np.abs(area) < MIN_AREA_PX2, MIN_AREA_PX2, area)[:, None]
    slope_x = (along_first * second[:, 1:2] - along_second * first[:, 1:2]) / divisor
    slope_y = (along_second * first[:, 0:1] - along_first * second[:, 0:1]) / divisor
    table = np.zeros((len(corners) + 1, 3 * channels), np.float32)
    table[1:, :channels], table[1:, channels : 2 * channels] = slope_x, slope_y
    table[1:, 2 * channels :] = value - slope_x * origin[:, 0:1] - slope_y * origin[:, 1:2]
    return table


def _look_up(table: Map, ids: NDArray[np.int16]) -> Map:
    channels = table.shape[1] // 3
    rows, columns = ids.shape
    looked = table.take(ids, 0)
    values = looked[..., :channels] * np.arange(columns, dtype=np.float32)[None, :, None]
    values += looked[..., channels : 2 * channels] * np.arange(rows, dtype=np.float32)[:, None, None]
    values += looked[..., 2 * channels :]
    return values
