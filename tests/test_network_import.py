"""ContentVec and RMVPE out of files in their public layouts, as graphs that give what torch gives."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("torch")

import torch

from mirage_rtc import voice_commands
from mirage_rtc.voice_commands import run_graph
from mirage_rtc.voice_options import VoiceOptions
from models.convert import hubert_network, rmvpe_network
from models.convert.network_import import import_network
from models.imported_voices import ImportedVoices
from models.voice_networks import CONTENT_V1, CONTENT_V2, PITCH, VoiceNetworkStore, spoken_picture
from models.voice_refusal import VoiceRefused
from tests import voice_checkpoints
from tests.test_onnx_export import ASKING, operators


def rmvpe() -> dict[str, Any]:
    """Random weights under the names of rmvpe.pt."""
    with torch.device("meta"):
        empty = rmvpe_network.RmvpeNetwork()
    return voice_checkpoints.random_weights(empty, rmvpe_network.norm_axis)


def hubert() -> dict[str, Any]:
    """Random weights under the names of Transformers, as newer versions write them."""
    with torch.device("meta"):
        empty = hubert_network.HubertNetwork()
    made = voice_checkpoints.random_weights(empty, hubert_network.norm_axis)
    conv = "encoder.pos_conv_embed.conv."
    made[f"{conv}parametrizations.weight.original0"] = made.pop(f"{conv}weight_g")
    made[f"{conv}parametrizations.weight.original1"] = made.pop(f"{conv}weight_v")
    made[hubert_network.TRAINING_ONLY] = torch.zeros(hubert_network.WIDTH)  # the public file has it
    return {f"hubert.{name}" if not name.startswith("final_proj") else name: value for name, value in made.items()}


def imported(folder: Path, contents: Any) -> tuple[VoiceNetworkStore, tuple[str, ...]]:
    """Saved and prepared."""
    path, store = folder / "network.pt", VoiceNetworkStore(folder / "networks")
    torch.save(contents, path)
    return store, import_network(path, store=store, run=run_graph, progress=lambda _: None)


def test_rmvpe_becomes_a_graph_by_the_command_and_the_list_says_what_is_missing_still(tmp_path: Path) -> None:
    """Compared with torch when it was made; 96 frames in, 96 rows of 360 out."""
    torch.save(rmvpe(), tmp_path / "rmvpe.pt")
    console = Console(file=io.StringIO(), width=200)
    for given in (VoiceOptions(task="prepare", file=tmp_path / "rmvpe.pt"), VoiceOptions(task="list")):
        assert voice_commands.run(given, tmp_path, console) == 0
    assert isinstance(console.file, io.StringIO)
    assert "Not prepared yet: contentvec-768-l12, contentvec-256-l9." in console.file.getvalue()
    assert "Pitch by RMVPE." in console.file.getvalue()
    store = ImportedVoices(tmp_path).networks
    assert store.ready() == (PITCH.name,)
    salience = run_graph(store.graph(PITCH), {PITCH.given: np.full(PITCH.given_shape, -11.5, np.float32)})
    assert salience.shape == PITCH.output_shape
    assert 0 <= salience.min() <= salience.max() <= 1
    assert operators(store.graph(PITCH)) & ASKING == set()
    half = store.source(PITCH).half
    assert half is not None
    assert half.stored
    assert 0.999 <= half.cosine <= 1
    alike = run_graph(store.graph(PITCH, half=True), {PITCH.given: spoken_picture()})
    np.testing.assert_allclose(alike, run_graph(store.graph(PITCH), {PITCH.given: spoken_picture()}), atol=0.02)


def test_contentvec_becomes_two_graphs(tmp_path: Path) -> None:
    """For v2 voices and for v1 voices, from one file."""
    store, names = imported(tmp_path, hubert())
    assert names == (CONTENT_V2.name, CONTENT_V1.name)
    wave = 0.1 * np.random.default_rng(1).standard_normal(CONTENT_V1.given_shape, np.float32)
    for network in (CONTENT_V2, CONTENT_V1):
        assert run_graph(store.graph(network), {network.given: wave}).shape == network.output_shape
        assert store.graph(network, half=True) == store.graph(network)
        assert operators(store.graph(network)) & ASKING == set()
        assert store.source(network).half is None


@pytest.mark.parametrize("contents", [[1], {"a": torch.ones(2)}, {1: torch.ones(2)}], ids=["list", "other", "numbered"])
def test_another_file_is_refused_with_what_to_use(tmp_path: Path, contents: Any) -> None:
    """And nothing is stored."""
    with pytest.raises(VoiceRefused) as caught:
        imported(tmp_path, contents)
    assert caught.value.code == "network_format"
    assert not (tmp_path / "networks").exists()


class Namespace:
    """Pickled as what fairseq hangs on its models."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (argparse.Namespace, ())


@pytest.mark.parametrize("beside", [{"args": Namespace()}, {"cfg": {}}], ids=["as published", "cleaned"])
def test_fairseq_s_file_is_refused_with_where_the_other_layout_is(tmp_path: Path, beside: dict[str, Any]) -> None:
    """Everybody who has RVC has hubert_base.pt, and it is the same network."""
    with pytest.raises(VoiceRefused) as caught:
        imported(tmp_path, {"model": {"mask_emb": torch.zeros(3)}, **beside})
    assert caught.value.code in {"checkpoint_objects", "network_format"}
    assert "fairseq" in caught.value.sentence
    assert "models fetch contentvec.bin" in caught.value.sentence
    assert "contentvec/pytorch_model.bin" in caught.value.sentence


def test_a_network_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    """By name."""
    made = rmvpe()
    del made["cnn.bias"]
    with pytest.raises(VoiceRefused, match=r"lacks cnn\.bias"):
        imported(tmp_path, made)
