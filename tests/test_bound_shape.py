"""Buffers of one shape, bound once: on the CPU's provider, with real ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest

from models import runtime
from models.bound_shape import bind
from models.placement import Placement
from models.runtime import NetworkError
from tests.onnx_writer import affine_picture

ONES = np.ones((3, 8, 8), np.float32)
PICTURE = {"x": np.random.default_rng(1).random((1, 3, 8, 8), np.float32)}
SESSION = runtime.open_session(Path("net.onnx"), Placement(), content=affine_picture(2 * ONES, ONES))


def test_the_first_run_s_answer_is_that_of_the_feeds_it_was_bound_with() -> None:
    """It is the only run that no provider captures, so all later ones are compared with it."""
    bound, answer = bind(SESSION, PICTURE, Placement(), 1)
    np.testing.assert_array_equal(answer[0], 2 * PICTURE["x"] + 1)
    for replay in (True, False):
        np.testing.assert_array_equal(bound.run({"x": 3 * PICTURE["x"]}, 1, replay=replay)[0], 6 * PICTURE["x"] + 1)
    np.testing.assert_array_equal(answer[0], 2 * PICTURE["x"] + 1)


def test_plain_runs_go_by_their_own_options() -> None:
    """Not captured, not replayed."""
    bound, _ = bind(SESSION, PICTURE, Placement(captured=True), 7)
    entries = [options.get_run_config_entry("gpu_graph_id") for options in (bound.replayed, bound.plain)]
    assert entries == ["7", "-1"]


def test_feeds_that_the_network_does_not_take_are_an_error_of_ours() -> None:
    """Also where the device has no room."""
    with pytest.raises(NetworkError, match="no room or cannot run"):
        bind(SESSION, {"x": np.zeros((1, 3, 9, 9), np.float32)}, Placement(), 1)
