"""The LiteRT runtime with Google's own networks."""

from pathlib import Path

import numpy as np
import pytest

from models.catalog import FACE_LANDMARKS
from models.runtime import LiteRTNetwork, NetworkError
from tests.model_store import model_store


def test_shapes_are_known_and_outputs_come_by_name() -> None:
    """Callers find an output by its shape and then ask for it by name."""
    network = LiteRTNetwork(model_store().path(FACE_LANDMARKS))
    assert network.input_shape == (1, 192, 192, 3)
    outputs = network.run(np.zeros(network.input_shape, np.float32))
    assert {name: out.shape for name, out in outputs.items()} == network.output_shapes
    assert sorted(out.size for out in outputs.values()) == [1, 468 * 3]


def test_outputs_stay_as_they_were_when_the_network_runs_again() -> None:
    """LiteRT reuses its buffers; what a caller holds must not change under it."""
    network = LiteRTNetwork(model_store().path(FACE_LANDMARKS))
    first = network.run(np.zeros(network.input_shape, np.float32))
    kept = {name: out.copy() for name, out in first.items()}
    second = network.run(np.random.default_rng(0).random(network.input_shape, np.float32))
    for name, out in first.items():
        np.testing.assert_array_equal(out, kept[name])
    assert any(np.abs(second[name] - kept[name]).max() > 0.1 for name in kept)


@pytest.mark.parametrize("content", [b"", b"not a network at all", None])
def test_a_file_that_is_no_network_is_refused_with_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    """Empty, foreign and absent files."""
    path = tmp_path / "broken.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError) as refused:
        LiteRTNetwork(path)
    assert "fetch it again" in refused.value.sentence


def test_a_network_with_a_damaged_weight_is_refused_at_load(tmp_path: Path) -> None:
    """The self-check runs the network once: weights that are not numbers must not reach a call."""
    data = bytearray(model_store().path(FACE_LANDMARKS).read_bytes())
    half = len(data) // 8 * 4
    data[half : half + 12_000] = np.full(6_000, np.nan, np.float16).tobytes()
    path = tmp_path / "rotten.tflite"
    path.write_bytes(data)
    with pytest.raises(NetworkError, match="not finite"):
        LiteRTNetwork(path)
