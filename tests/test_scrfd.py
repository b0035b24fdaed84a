"""SCRFD against InsightFace's own class on the same files, against expected.json, and on maps made by hand."""

import functools
import json
from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from models.model_spec import TensorSpec
from models.neural_face_catalog import SCRFD_CONTRACT
from models.runtime import Array, OnnxGraph
from models.scrfd import FoundFace, Scrfd, largest
from tests import parity
from tests.asset_frames import ASSETS, CLIPS, MODELS, frames, picture, with_assets

DETECTORS = ("det_500m.onnx@640", "det_500m.onnx@320", "scrfd_2.5g_bnkps_static640.onnx@640")


@functools.cache
def detector(name: str) -> Scrfd:
    """A detector of the assets."""
    return Scrfd(OnnxGraph(MODELS / name, SCRFD_CONTRACT))


@with_assets
@pytest.mark.parametrize("reference", DETECTORS)
def test_boxes_and_points_are_insightface_s(reference: str) -> None:
    """Over every measured picture: the same faces in the same order, scores to 0.01, boxes and points to 1 pixel."""
    name, size_px = reference.split("@")
    for key in parity.pictures():
        found = detector(name).detect_at(picture(key), int(size_px))
        wanted = parity.faces(reference, key)
        assert len(found) == len(wanted), key
        for one, other in zip(found, wanted, strict=True):
            assert abs(one.score - other.score) <= 0.01, key
            assert np.abs(one.box - other.box).max() <= 1, key
            assert np.abs(one.points - other.points).max() <= 1, key


@with_assets
@pytest.mark.parametrize("name", CLIPS)
def test_every_face_of_the_clips_is_found(name: str) -> None:
    """As many as expected.json says, every fifth frame, at 640; and as many by the live policy of 320 first."""
    expected = json.loads((ASSETS / "expected.json").read_text())["videos"][name]["faces_every_5_frames_det_500m"]
    for index, count in enumerate(expected):
        frame = frames(name)[index * 5]
        assert len(detector("det_500m.onnx").detect_at(frame, 640)) == count
        assert len(detector("det_500m.onnx").detect(frame)) == count


@with_assets
def test_a_face_that_fills_the_picture_is_found_at_once_and_a_small_one_at_the_second_look() -> None:
    """What each size is for: 320 sees the first at once; the astronaut at a quarter needs 640."""
    face = picture("grid_bbaf2n.mpg@5")[60:270, 60:270]
    close = np.asarray(cv2.resize(face, (512, 512)), np.uint8)
    assert detector("det_500m.onnx").detect_at(close, 320)
    far = np.zeros((1024, 1024, 3), np.uint8)
    far[400:528, 400:528] = cv2.resize(frames("astronaut.png")[0], (128, 128), interpolation=cv2.INTER_AREA)
    assert detector("det_500m.onnx").detect_at(far, 320) == []
    assert len(detector("det_500m.onnx").detect(far)) == 1


@with_assets
def test_a_graph_of_fixed_size_is_used_at_that_size() -> None:
    """No other size is tried on it."""
    assert detector("scrfd_2.5g_bnkps_static640.onnx").sizes_px == (640,)


class Maps:
    """A graph that answers with given maps at 320 pixels, and counts."""

    inputs: tuple[TensorSpec, ...] = (TensorSpec(name="in", shape=(1, 3, None, None)),)
    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self) -> None:
        self.blob: Array = np.zeros(0)
        self.maps = {
            kind: [np.zeros((2 * (320 // stride) ** 2, columns), np.float32) for stride in (8, 16, 32)]
            for kind, columns in (("score", 1), ("box", 4), ("points", 10))
        }

    def put(self, level: int, row: int, score: float, box: list[float], points: list[float]) -> None:
        """One anchor that fires; distances in strides."""
        for kind, value in (("score", [score]), ("box", box), ("points", points)):
            self.maps[kind][level][row] = value

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """The nine maps."""
        self.blob = feeds["in"]
        return tuple(one for kind in ("score", "box", "points") for one in self.maps[kind])


def at(found: FoundFace) -> list[float]:
    """A box as numbers."""
    return [float(value) for value in found.box]


def test_one_anchor_decodes_to_exactly_its_box_and_points() -> None:
    """Stride 16, cell (3, 2), second anchor: distances from the cell's corner in strides, at half the scale."""
    maps = Maps()
    maps.put(1, 2 * (2 * 20 + 3) + 1, 0.9, [1, 0.5, 2, 3], [0, 0, 1, 0, 0.5, 1, 0, 2, 1, 2])
    (found,) = Scrfd(maps).detect(np.zeros((160, 160, 3), np.uint8))
    assert at(found) == [(48 - 16) / 2, (32 - 8) / 2, (48 + 32) / 2, (32 + 48) / 2]
    np.testing.assert_allclose(found.points, [[24, 16], [32, 16], [28, 24], [24, 32], [32, 32]])
    assert found.score == pytest.approx(0.9)


def test_the_picture_lies_in_the_upper_left_as_rgb() -> None:
    """A portrait picture leaves the right side empty; blue comes last; values as the network was trained."""
    maps = Maps()
    blue = np.zeros((320, 160, 3), np.uint8)
    blue[..., 0] = 255
    Scrfd(maps).detect_at(blue, 320)
    assert maps.blob.shape == (1, 3, 320, 320)
    np.testing.assert_allclose(maps.blob[0, :, 10, 10], [-127.5 / 128, -127.5 / 128, 127.5 / 128])
    np.testing.assert_allclose(maps.blob[0, :, 10, 200], -127.5 / 128)


def test_of_two_boxes_on_a_face_the_better_stays_and_a_neighbour_is_kept() -> None:
    """Suppression above 0.4 of overlap, across strides; best first."""
    maps = Maps()
    maps.put(0, 2 * (10 * 40 + 10), 0.7, [4, 4, 4, 4], [0] * 10)
    maps.put(1, 2 * (5 * 20 + 5), 0.8, [2, 2, 2, 2], [0] * 10)
    maps.put(0, 2 * (10 * 40 + 16), 0.6, [4, 4, 4, 4], [0] * 10)
    found = Scrfd(maps).detect_at(np.zeros((320, 320, 3), np.uint8), 320)
    assert [round(one.score, 1) for one in found] == [0.8, 0.6]


@pytest.mark.parametrize(("apart", "kept"), [(0.25, 1), (0.375, 2)])
def test_sides_count_one_pixel_more_than_their_difference(apart: float, kept: int) -> None:
    """Boxes of 4 by 4, 2 apart: 15 of 35 pixels are shared (plain areas: 8 of 24, both kept); 3 apart: 10 of 40."""
    maps = Maps()
    maps.put(0, 2 * (10 * 40 + 10), 0.9, [0.25, 0.25, 0.25, 0.25], [0] * 10)
    maps.put(0, 2 * (10 * 40 + 10) + 1, 0.8, [0.25 - apart, 0.25, 0.25 + apart, 0.25], [0] * 10)
    assert len(Scrfd(maps).detect_at(np.zeros((320, 320, 3), np.uint8), 320)) == kept


def test_nobody_is_an_empty_list_and_a_low_score_is_nobody() -> None:
    """Below the threshold that was asked for."""
    maps = Maps()
    maps.put(2, 0, 0.4, [1, 1, 1, 1], [0] * 10)
    assert Scrfd(maps).detect_at(np.zeros((90, 320, 3), np.uint8), 320) == []
    assert len(Scrfd(maps).detect_at(np.zeros((90, 320, 3), np.uint8), 320, min_score=0.3)) == 1


def test_the_largest_faces_are_chosen_by_area() -> None:
    """Not by score, nor by place."""
    boxes = [np.array([0, 0, side, side], np.float32) for side in (10, 30, 20)]
    faces = [FoundFace(box=box, points=np.zeros((5, 2), np.float32), score=0.9) for box in boxes]
    assert [face.area_px2 for face in largest(faces, 2)] == [900, 400]
