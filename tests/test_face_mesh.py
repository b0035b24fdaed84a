"""Topology and canonical shape of the face mesh, and the similarity between faces."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models import face_mesh


def turned(yaw_deg: float, scale: float = 10.0, shift: float = 200.0) -> face_mesh.Points:
    """The canonical face turned about the vertical axis, in pixels."""
    angle = np.radians(yaw_deg)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return np.asarray(face_mesh.CANONICAL @ turn.T * scale + shift, np.float32)


def test_every_triangle_of_the_front_view_winds_the_same_way() -> None:
    """A triangle seen from behind is recognised by its winding, so the front view must hold (almost) none."""
    points = face_mesh.with_apron(face_mesh.CANONICAL, face_mesh.apron_reach(1.14, 1.42))[face_mesh.TRIANGLES][..., :2]
    first, second = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    area = first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1]
    assert (area > 0).mean() > 0.98


def test_the_mesh_is_whole() -> None:
    """Every vertex belongs to a triangle, and eyes and mouth are closed by triangles too."""
    assert set(face_mesh.FACE_TRIANGLES.ravel().tolist()) == set(range(face_mesh.FACE_POINTS))
    assert len(face_mesh.FACE_TRIANGLES) == 898


def edges(triangles: NDArray[np.int32]) -> set[frozenset[int]]:
    """The edges of triangles, without a direction."""
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return {frozenset(side) for side in sides.tolist()}


@pytest.mark.parametrize("outline", ["OVAL", "INNER_LIPS", "OUTER_LIPS", "LEFT_EYE", "RIGHT_EYE"])
def test_no_triangle_crosses_an_outline(outline: str) -> None:
    """Lips that part, lids that close and the rim tear a triangle that lies on both sides of their line."""
    vertices = getattr(face_mesh, outline).tolist()
    along = zip(vertices, vertices[1:] + vertices[:1], strict=True)
    assert {frozenset(side) for side in along} <= edges(face_mesh.FACE_TRIANGLES)


@pytest.mark.parametrize(("outline", "triangles"), [("INNER_LIPS", 18), ("LEFT_EYE", 14), ("RIGHT_EYE", 14)])
def test_openings_are_closed_by_triangles_of_their_own(outline: str, triangles: int) -> None:
    """n vertices around an opening take n - 2 triangles, none of which touches anything else."""
    inside = np.isin(face_mesh.FACE_TRIANGLES, getattr(face_mesh, outline)).all(1)
    assert inside.sum() == triangles


def test_the_two_halves_mirror_each_other() -> None:
    """A mask may not lean: every triangle has its mirror image, and so has every vertex, to the last digit."""
    halves = [{frozenset(corners) for corners in side.tolist()} for side in (
        face_mesh.FACE_TRIANGLES, face_mesh.MIRROR[face_mesh.FACE_TRIANGLES]
    )]  # fmt: skip
    assert halves[0] == halves[1]
    flipped = face_mesh.CANONICAL[face_mesh.MIRROR] * np.array([-1, 1, 1], np.float32)
    assert np.array_equal(flipped, face_mesh.CANONICAL)


def test_mirroring_twice_is_the_identity_and_swaps_the_eyes() -> None:
    """The hidden half of a portrait borrows from the other side through this table."""
    assert (face_mesh.MIRROR[face_mesh.MIRROR] == np.arange(face_mesh.FACE_POINTS)).all()
    assert face_mesh.MIRROR[33] == 263
    assert face_mesh.MIRROR[4] == 4


def test_similarity_recovers_scale_rotation_and_shift() -> None:
    """A face turned, enlarged and moved is brought back onto itself."""
    target = turned(25.0, scale=7.0)
    scale, rotation, shift = face_mesh.similarity(face_mesh.CANONICAL, target)
    assert scale == pytest.approx(7.0, rel=1e-4)
    assert np.abs(scale * face_mesh.CANONICAL @ rotation.T + shift - target).max() < 1e-2


@pytest.mark.parametrize("yaw_deg", [-50.0, 0.0, 30.0])
def test_yaw_is_read_off_the_points(yaw_deg: float) -> None:
    """The engine blurs a face turned too far, so the angle must be right and signed."""
    assert face_mesh.yaw_pitch_deg(turned(yaw_deg))[0] == pytest.approx(yaw_deg, abs=0.5)


def test_the_apron_lies_outside_the_oval() -> None:
    """Each apron vertex is farther from the middle than its oval vertex, most of all above the forehead."""
    reach = face_mesh.apron_reach(1.1, 1.4)
    whole = face_mesh.with_apron(face_mesh.CANONICAL, reach)
    middle = face_mesh.CANONICAL[face_mesh.OVAL].mean(0)
    outside = np.linalg.norm((whole[468:] - middle)[:, :2], axis=1)
    inside = np.linalg.norm((face_mesh.CANONICAL[face_mesh.OVAL] - middle)[:, :2], axis=1)
    assert np.allclose(outside / inside, reach, atol=1e-3)
    assert reach.argmax() == 0  # vertex 10, the top of the forehead
