"""From the tensors of a checked checkpoint to a network that computes in float32.

Checkpoints keep weight-normalized layers as `weight_g` and `weight_v`; networks here have plain weights, so the two
are fused on the way, in float32 (in half precision, audio moves by 1.4e-3). Called by the readers of checkpoints.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.convert.checkpoint_file import TensorEntry
from models.voice_refusal import VoiceRefused

FLOATS = frozenset({"float16", "bfloat16", "float32"})
NormAxis = Callable[[str], int | None]
"""Over which axis the layer of this name is normalized, or None when it is not (Salimans and Kingma 2016)."""

# Newer torch keeps weight norm under other names.
_RENAMED = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
SHOWN = 3


def expected(network: nn.Module, norm_axis: NormAxis) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the file of `network` must have; build it on the "meta" device to allocate nothing."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in network.state_dict().items():
        layer, shape = name.removesuffix(".weight"), tuple(tensor.shape)
        axis = norm_axis(layer) if name.endswith(".weight") else None
        if axis is None:
            shapes[name] = shape
            continue
        shapes[f"{layer}.weight_g"] = tuple(size if place == axis else 1 for place, size in enumerate(shape))
        shapes[f"{layer}.weight_v"] = shape
    return shapes


def plain_name(key: str) -> str:
    """The name that older torch gives to the tensor: the one that `expected` has."""
    for ending, plain in _RENAMED.items():
        key = key.replace(ending, plain)
    return key


def check(name: str, found: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Every tensor by name, shape and kind. Raises `VoiceRefused` "checkpoint_schema" that names what differs."""
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unknown:
        parts = [f"it lacks {_listed(missing)}"] if missing else []
        parts += [f"it has {_listed(unknown)} too many"] if unknown else []
        raise _schema(name, " and ".join(parts))
    for key, shape in wanted.items():
        entry = found[key]
        if type(entry) is not TensorEntry or entry.shape != shape:
            what = list(entry.shape) if type(entry) is TensorEntry else "no tensor"
            raise _schema(name, f"{key} is {what} and not {list(shape)}")
        if entry.dtype not in FLOATS and not key.endswith("num_batches_tracked"):
            raise _schema(name, f"{key} holds {entry.dtype}, not float16 or float32")


def load(name: str, network: nn.Module, tensors: Mapping[str, Tensor], norm_axis: NormAxis) -> None:
    """Fill `network` in place and make it ready for inference. Raises `VoiceRefused` "checkpoint_numbers"."""
    state: dict[str, Tensor] = {}
    for key in network.state_dict():
        layer = key.removesuffix(".weight")
        axis = norm_axis(layer) if key.endswith(".weight") else None
        state[key] = _value(tensors, key) if axis is None else _fused(tensors, layer, axis)
        if not bool(torch.isfinite(state[key]).all()):
            raise VoiceRefused(
                "checkpoint_numbers", f"{name} holds numbers that are not finite ({key}): it is damaged."
            )
    network.load_state_dict(state, strict=True, assign=True)
    network.eval().requires_grad_(False)


def _value(tensors: Mapping[str, Tensor], key: str) -> Tensor:
    tensor = tensors[key]
    return tensor.float().contiguous() if tensor.is_floating_point() else tensor


def _fused(tensors: Mapping[str, Tensor], layer: str, axis: int) -> Tensor:
    direction = _value(tensors, f"{layer}.weight_v")
    others = [place for place in range(direction.dim()) if place != axis]
    length = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
    return _value(tensors, f"{layer}.weight_g") * direction / length


def _schema(name: str, difference: str) -> VoiceRefused:
    sentence = f"{name} is not the network it should be: {difference}. Use the file as its author published it."
    return VoiceRefused("checkpoint_schema", sentence)


def _listed(names: list[str]) -> str:
    shown = ", ".join("".join(letter for letter in name[:60] if letter.isprintable()) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
