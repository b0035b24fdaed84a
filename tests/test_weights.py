"""From checked tensors to a network: what a schema demands, weight norm, numbers that cannot be used."""

import pytest

pytest.importorskip("torch")

import torch

from models.convert import weights
from models.convert.checkpoint_file import TensorEntry
from models.voice_refusal import VoiceRefused


def network() -> torch.nn.Module:
    """A normalized convolution, a transposed one, and a plain one."""
    return torch.nn.ModuleDict(
        {
            "normed": torch.nn.Conv1d(4, 6, 3),
            "up": torch.nn.ConvTranspose1d(6, 2, 4),
            "plain": torch.nn.Conv1d(2, 1, 1, bias=False),
        }
    )


def axis(layer: str) -> int | None:
    """All but the plain one, over the first axis."""
    return None if layer == "plain" else 0


def tensors() -> dict[str, torch.Tensor]:
    """A file of that network, in half precision."""
    shapes = weights.expected(network(), axis)
    return {name: torch.randn(size, generator=torch.Generator().manual_seed(1)).half() for name, size in shapes.items()}


def described(values: dict[str, torch.Tensor]) -> dict[str, TensorEntry]:
    """As the reader describes it."""
    return {
        name: TensorEntry(dtype=str(value.dtype).removeprefix("torch."), shape=tuple(value.shape))
        for name, value in values.items()
    }


def refusal(found: dict[str, TensorEntry]) -> VoiceRefused:
    """Why a file does not fit."""
    with pytest.raises(VoiceRefused) as caught:
        weights.check("voice.pth", found, weights.expected(network(), axis))
    return caught.value


def test_normalized_layers_are_two_tensors_in_the_file() -> None:
    """Length and direction; in a transposed convolution the first axis is the input's."""
    shapes = weights.expected(network(), axis)
    assert shapes["normed.weight_g"] == (6, 1, 1)
    assert shapes["up.weight_g"] == (6, 1, 1)
    assert shapes["up.weight_v"] == (6, 2, 4)
    assert shapes["plain.weight"] == (1, 2, 1)
    assert "normed.weight" not in shapes


def test_the_fused_weights_are_torch_s_own() -> None:
    """Against torch.nn.utils.parametrizations.weight_norm on the same numbers, in float32."""
    values, filled = tensors(), network()
    weights.load("voice.pth", filled, values, axis)
    reference = torch.nn.utils.parametrizations.weight_norm(torch.nn.ConvTranspose1d(6, 2, 4), dim=0)
    reference.parametrizations.weight.original0.data = values["up.weight_g"].float()
    reference.parametrizations.weight.original1.data = values["up.weight_v"].float()
    assert torch.allclose(filled["up"].weight, reference.weight, atol=1e-7)
    assert filled["normed"].weight.dtype is torch.float32
    assert not filled.training


def test_a_file_that_fits_is_taken_and_what_differs_is_named() -> None:
    """Missing, unknown, of another shape, of another kind, no tensor at all."""
    found = described(tensors())
    weights.check("voice.pth", found, weights.expected(network(), axis))
    assert "it lacks plain.weight" in refusal({k: v for k, v in found.items() if k != "plain.weight"}).sentence
    assert "it has x too many" in refusal(found | {"x": TensorEntry(dtype="float16", shape=(1,))}).sentence
    wrong = refusal(found | {"plain.weight": TensorEntry(dtype="float16", shape=(10**6, 10**6))})
    assert "plain.weight is [1000000, 1000000] and not [1, 2, 1]" in wrong.sentence
    assert "int64" in refusal(found | {"plain.weight": TensorEntry(dtype="int64", shape=(1, 2, 1))}).sentence
    no_tensor: dict[str, object] = {**found, "plain.weight": 1.0}
    assert refusal(no_tensor).code == "checkpoint_schema"  # type: ignore[arg-type]


def test_a_long_list_of_differences_is_cut() -> None:
    """Three names, then how many more."""
    assert "and 4 more" in refusal({}).sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    """A voice of NaN would be silence at best."""
    values = tensors()
    values["plain.weight"][0, 1, 0] = value
    with pytest.raises(VoiceRefused) as caught:
        weights.load("voice.pth", network(), values, axis)
    assert caught.value.code == "checkpoint_numbers"


def test_a_length_over_a_direction_of_zeros_is_refused() -> None:
    """0 / 0 is no weight."""
    values = tensors()
    values["normed.weight_v"][0] = 0
    with pytest.raises(VoiceRefused) as caught:
        weights.load("voice.pth", network(), values, axis)
    assert caught.value.code == "checkpoint_numbers"
