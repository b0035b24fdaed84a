"""From a public checkpoint of ContentVec or RMVPE to the static graphs that voices need, checked against torch.

Which of the two a file is, its tensor names say. Called by `mirage_rtc.voice_commands`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from models.convert import hubert_network, rmvpe_network, weights
from models.convert.checkpoint_file import CheckpointFile
from models.convert.half_precision import store_half
from models.convert.hubert_network import HubertNetwork
from models.convert.onnx_export import SharedWeights, export
from models.convert.rmvpe_network import RmvpeNetwork
from models.convert.voice_import import GraphRunner, Progress, compare
from models.voice_networks import (
    CONTENT_V1,
    CONTENT_V2,
    GRAPH_NAME,
    HALF_NAME,
    PITCH,
    NetworkSource,
    VoiceNetwork,
    VoiceNetworkStore,
    spoken_picture,
    write_source,
)
from models.voice_refusal import VoiceRefused

MAX_BYTES = 1 << 30
FAIRSEQ_ADVICE = (
    "Where it is ContentVec in fairseq's layout (hubert_base.pt, checkpoint_best_legacy_500.pt), run "
    "`mirage-rtc models fetch contentvec.bin`, or give the same network as Applio has it, "
    "rvc/models/embedders/contentvec/pytorch_model.bin."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How a checkpoint becomes graphs."""

    build: Callable[[], nn.Module]
    norm_axis: weights.NormAxis
    graphs: tuple[tuple[VoiceNetwork, Callable[[Any], nn.Module]], ...]


class _Projected(nn.Module):
    """The content network as RVC v1 voices take it."""

    def __init__(self, network: HubertNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, wave: Tensor) -> Tensor:
        return self.network.projected(wave)


def _itself(network: nn.Module) -> nn.Module:
    return network


_CONTENT = _Kind(
    build=HubertNetwork, norm_axis=hubert_network.norm_axis, graphs=((CONTENT_V2, _itself), (CONTENT_V1, _Projected))
)
_PITCH = _Kind(build=RmvpeNetwork, norm_axis=rmvpe_network.norm_axis, graphs=((PITCH, _itself),))


def import_network(path: Path, *, store: VoiceNetworkStore, run: GraphRunner, progress: Progress) -> tuple[str, ...]:
    """Store the graphs of the checkpoint in `path`; returns their names. Raises `VoiceRefused`."""
    progress(f"reading {path.name}")
    file = _opened(path)
    described = _renamed(path.name, file.contents)
    kind = _kind(path.name, described)
    with torch.device("meta"):
        network = kind.build()
    weights.check(path.name, described, weights.expected(network, kind.norm_axis))
    weights.load(path.name, network, _renamed(path.name, file.tensors()), kind.norm_axis)
    source = NetworkSource(file=path.name, sha256=hashlib.sha256(file.data).hexdigest())
    for target, view in kind.graphs:
        progress(f"exporting and checking {target.name}")
        _store_graph(view(network).eval(), target, source, store, run)
    return tuple(target.name for target, _ in kind.graphs)


def _store_graph(
    network: nn.Module, target: VoiceNetwork, source: NetworkSource, store: VoiceNetworkStore, run: GraphRunner
) -> None:
    # Two windows: a graph traced with one could mix up windows with what is 1 anyway.
    noise = torch.randn((2, *target.given_shape[1:]), generator=torch.Generator().manual_seed(1))
    given = {target.given: noise - 4 if target is PITCH else 0.1 * noise}
    with store.folders.adding(target.name) as folder:
        path, shared = folder / GRAPH_NAME, SharedWeights(folder)
        export(network, given, target.output, path, shared, target.open_sizes)
        with torch.inference_mode():
            wanted = network(*given.values())
        compare(wanted, path, given, run)
        if target is PITCH:  # ContentVec does not bear it: its features come out at a cosine of 0.75 elsewhere
            half = store_half(path, folder / HALF_NAME, shared, {target.given: spoken_picture()}, run)
            source = msgspec.structs.replace(source, half=half)
        write_source(folder, source)


def _opened(path: Path) -> CheckpointFile:
    try:
        return CheckpointFile(path, max_bytes=MAX_BYTES)
    except VoiceRefused as refused:
        if refused.code != "checkpoint_objects":
            raise
        raise VoiceRefused(refused.code, f"{refused.sentence} {FAIRSEQ_ADVICE}") from None


def _kind(name: str, described: Mapping[str, Any]) -> _Kind:
    if "fc.0.gru.weight_ih_l0" in described:
        return _PITCH
    if "feature_projection.projection.weight" in described:
        return _CONTENT
    sentence = (
        f"{name} is neither ContentVec in the layout of Transformers (pytorch_model.bin with final_proj) nor RMVPE "
        f"(rmvpe.pt): use one of those. {FAIRSEQ_ADVICE}"
    )
    raise VoiceRefused("network_format", sentence)


def _renamed(name: str, contents: Any) -> dict[str, Any]:
    """The tensors under the names that are expected here."""
    if not isinstance(contents, dict) or not all(isinstance(key, str) for key in contents):
        sentence = f"{name} is not a flat set of named tensors: use the public file as it is."
        raise VoiceRefused("network_format", sentence)
    # Transformers puts the model's name in front in some files.
    named = {weights.plain_name(key.removeprefix("hubert.")): value for key, value in contents.items()}
    return {key: value for key, value in named.items() if key != hubert_network.TRAINING_ONLY}
