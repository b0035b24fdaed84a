"""ArcFace against InsightFace's own class on the same file, and against the cosines of expected.json."""

import functools
import json

import numpy as np
import pytest

from models.arcface import ArcFace, mean_embedding, odd_one_out
from models.neural_face_catalog import ARCFACE_CONTRACT, SCRFD_CONTRACT
from models.runtime import OnnxGraph
from models.scrfd import Scrfd
from tests import parity
from tests.asset_frames import ASSETS, MODELS, picture, with_assets

DETECTOR = "det_500m.onnx@640"


@functools.cache
def encoder() -> ArcFace:
    """The encoder of the assets."""
    return ArcFace(OnnxGraph(MODELS / "w600k_mbf_deq_fp32.onnx", ARCFACE_CONTRACT))


@with_assets
def test_embeddings_are_insightface_s() -> None:
    """From the same points: every projection to 6e-4, which unit vectors of cosine 0.9999 stay within.

    Such vectors are at most 0.0142 apart, and a direction of `parity.projected` sees 1/sqrt(512) of that.
    """
    for key in parity.pictures():
        points = [face.points for face in parity.faces(DETECTOR, key)]
        ours = encoder().embed(picture(key), points)
        assert np.abs(parity.projected(ours) - parity.projections(key)).max() <= 6e-4, key


def test_the_recorded_projections_are_no_embeddings() -> None:
    """Sixteen numbers a face, however many are recorded: nobody's template lies in the repository."""
    assert all(parity.projections(key).shape[1] == 16 for key in parity.pictures())


@with_assets
def test_a_batch_is_what_each_face_gives_alone() -> None:
    """Rows of unit length, in the order of the faces, to rounding."""
    frame = picture("grid_two_people.mp4@5")
    points = [face.points for face in parity.faces(DETECTOR, "grid_two_people.mp4@5")]
    together = encoder().embed(frame, points)
    assert together.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for row, five in zip(together, points, strict=True):
        np.testing.assert_allclose(row, encoder().embed(frame, [five])[0], atol=1e-5)


@with_assets
def test_people_are_told_apart_as_expected() -> None:
    """Our detector and our encoder: every cosine of expected.json to 0.05, which leaves room for its int8 weights."""
    expected = json.loads((ASSETS / "expected.json").read_text())["cosine_int8"]
    detector = Scrfd(OnnxGraph(MODELS / "det_500m.onnx", SCRFD_CONTRACT))
    rows = []
    for name in expected["names"]:
        key, _, number = name.partition("#")
        faces = sorted(detector.detect_at(picture(key), 640), key=lambda face: float(face.box[0]))
        rows.append(encoder().embed(picture(key), [faces[int(number or 0)].points])[0])
    cosines = np.stack(rows) @ np.stack(rows).T
    assert np.abs(cosines - np.array(expected["matrix"])).max() <= 0.05


@with_assets
def test_no_face_is_no_row() -> None:
    """And the network is not asked."""
    assert encoder().embed(picture("astronaut.png"), []).shape == (0, 512)


def test_several_portraits_make_one_direction() -> None:
    """The mean of two unit vectors at a right angle lies between them, at unit length."""
    both = np.eye(512, dtype=np.float32)[:2]
    mean = mean_embedding(both)
    assert mean @ both.T == pytest.approx([np.sqrt(0.5)] * 2)
    assert np.linalg.norm(mean) == pytest.approx(1)


def test_a_portrait_of_somebody_else_is_found() -> None:
    """Among three the one that is unlike the two others; one alone is never odd."""
    mine = np.eye(512, dtype=np.float32)[0]
    tilted = mean_embedding(np.eye(512, dtype=np.float32)[:2])
    stranger = np.eye(512, dtype=np.float32)[5]
    assert odd_one_out(np.stack([mine])) is None
    assert odd_one_out(np.stack([mine, tilted])) is None
    assert odd_one_out(np.stack([mine, stranger, tilted])) == 1
