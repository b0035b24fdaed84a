"""The one-remap mesh warp: values interpolate over triangles, a face warped onto itself stays where it is."""

import numpy as np
import pytest

from models import face_mesh, mesh_warp
from tests.test_face_mesh import turned

REACH = face_mesh.apron_reach(1.14, 1.42)


def picture() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A smooth colourful picture, 400 x 400."""
    y, x = np.mgrid[0:400, 0:400].astype(np.float32)
    waves = [127 + 100 * np.sin(x / (17 + 5 * c) + y / (23 - 3 * c)) for c in range(3)]
    return np.stack(waves, -1).astype(np.uint8)


def laid_out(yaw_deg: float) -> mesh_warp.Grid:
    """A grid over a face that carries each vertex's own frame position."""
    points = face_mesh.with_apron(turned(yaw_deg), REACH)
    region = mesh_warp.region_around(points, 400, 400)
    assert region is not None
    place = points[:, :2] - np.array([region.x0, region.y0], np.float32)
    grid = mesh_warp.interpolate(points, place[face_mesh.TRIANGLES], face_mesh.TRIANGLES, region, 112)
    assert grid is not None
    return grid


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0])
def test_a_face_warped_onto_itself_is_the_same_picture(yaw_deg: float) -> None:
    """The map of the identity warp, upsampled, samples every inner pixel from its own place."""
    grid = laid_out(yaw_deg)
    region = grid.region
    positions = mesh_warp.upsample(grid.values, (region.width, region.height))
    warped = mesh_warp.sample(region.cut(picture()), positions)
    inner = mesh_warp.upsample(grid.inside.astype(np.float32), (region.width, region.height)) > 254
    error = np.abs(warped.astype(int) - region.cut(picture()).astype(int)).max(2)
    assert inner.mean() > 0.5
    assert np.percentile(error[inner], 99) <= 6


def test_frame_positions_agree_with_the_interpolated_ones() -> None:
    """Outside the mesh the map must continue as the identity, or the rim would jump."""
    grid = laid_out(0.0)
    inside = grid.inside > 0
    assert np.abs(grid.values - grid.frame_positions())[inside].max() < 0.05


def test_a_face_seen_from_behind_is_refused() -> None:
    """Mirrored points wind the wrong way: there is no front to draw on."""
    points = face_mesh.with_apron(turned(0.0), REACH)
    points[:, 0] = 400 - points[:, 0]
    region = mesh_warp.region_around(points, 400, 400)
    assert region is not None
    corners = points[face_mesh.TRIANGLES]
    assert mesh_warp.interpolate(points, corners, face_mesh.TRIANGLES, region, 112) is None


def test_a_face_outside_the_frame_has_no_region() -> None:
    """Less than 16 px of a face in the picture is nothing to warp; a cut-off face keeps the part that is seen."""
    points = turned(0.0)
    assert mesh_warp.region_around(points - np.float32(600), 400, 400) is None
    cut = mesh_warp.region_around(points - np.array([200, 0, 0], np.float32), 400, 400)
    assert cut is not None
    assert cut.x0 == 0
