"""Voice files in RVC's layout: what is read out of a good one, and why another is not used."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from models.convert.rvc_checkpoint import UPSAMPLING, _speakers, read_voice
from models.voice_refusal import VoiceRefused
from tests.voice_checkpoints import checkpoint, shape, voice_file

Change = Callable[[dict[str, Any]], object]


@cache
def contents(sample_rate_hz: int = 40000, version: str = "v2") -> dict[str, Any]:
    """Made once; tests change copies."""
    return checkpoint(sample_rate_hz, version)


def changed(change: Change) -> dict[str, Any]:
    """A voice in which something is different."""
    made = {**contents(), "weight": dict(contents()["weight"]), "config": list(contents()["config"])}
    change(made)
    return made


def refusal(folder: Path, made: Any) -> VoiceRefused:
    """Why it is not used."""
    with pytest.raises(VoiceRefused) as caught:
        read_voice(voice_file(folder, made))
    assert "voice.pth" in caught.value.sentence
    return caught.value


@pytest.mark.parametrize(("sample_rate_hz", "version"), sorted(UPSAMPLING))
def test_every_kind_of_voice_is_read(tmp_path: Path, sample_rate_hz: int, version: str) -> None:
    """32, 40 and 48 kHz, v1 and v2, in float32 and ready for inference."""
    voice = read_voice(voice_file(tmp_path, contents(sample_rate_hz, version)))
    assert (voice.version, voice.shape.sample_rate_hz, voice.shape.speakers) == (version, sample_rate_hz, 3)
    assert voice.speakers == 1
    assert voice.shape.feature_width == {"v1": 256, "v2": 768}[version]
    assert voice.shape.hop == sample_rate_hz // 100
    assert len(voice.sha256) == 64
    assert voice.network.dec.conv_pre.weight.dtype is torch.float32


def test_the_weights_are_those_of_the_file(tmp_path: Path) -> None:
    """Plain ones as they are, normalized ones with their length."""
    voice = read_voice(voice_file(tmp_path, contents()))
    stored = contents()["weight"]
    assert torch.equal(voice.network.emb_g.weight, stored["emb_g.weight"].float())
    length = voice.network.dec.ups[0].weight.norm(dim=(1, 2))
    assert torch.allclose(length, stored["dec.ups.0.weight_g"].float().flatten(), atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda made: made.pop("f0"), id="f0 missing means that it has pitch"),
        pytest.param(lambda made: made["config"].__setitem__(-1, "40k"), id="rate as a word"),
        pytest.param(lambda made: made["weight"].update({"enc_q.pre.bias": torch.ones(3)}), id="training's encoder"),
        pytest.param(lambda made: made.update(embedder_model="contentvec", vocoder="HiFi-GAN", epoch=3), id="Applio's"),
        pytest.param(lambda made: made.update(weight=OrderedDict(made["weight"])), id="ordered"),
        pytest.param(lambda made: made.update(embedder_model=None, vocoder=None, f0="1"), id="Applio's, unnamed"),
        pytest.param(lambda made: made.update(embedder_model="contentvec_base", vocoder="Default"), id="a fork's"),
    ],
)
def test_what_other_writers_do_differently_is_taken(tmp_path: Path, change: Change) -> None:
    """The same voice comes out."""
    assert read_voice(voice_file(tmp_path, changed(change))).shape.sample_rate_hz == 40000


def test_a_file_without_a_version_is_v1(tmp_path: Path) -> None:
    """As RVC reads it."""
    made = {key: value for key, value in contents(40000, "v1").items() if key != "version"}
    assert read_voice(voice_file(tmp_path, made)).version == "v1"


def test_a_file_of_v2_without_a_version_is_taken_for_what_its_features_say(tmp_path: Path) -> None:
    """768 numbers a frame are v2's: the width tells the two apart, and everything else is checked as ever."""
    made = changed(lambda made: made.pop("version"))
    assert read_voice(voice_file(tmp_path, made)).version == "v2"


def test_the_names_that_newer_torch_gives_to_normalized_layers_are_read(tmp_path: Path) -> None:
    """Some forks save them so; the same weights come out."""

    def renamed(made: dict[str, Any]) -> None:
        ends = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        for name in [name for name in made["weight"] if name.endswith(tuple(ends))]:
            layer, _, end = name.rpartition(".")
            made["weight"][f"{layer}.{ends[end]}"] = made["weight"].pop(name)

    length, direction = (contents()["weight"][f"dec.ups.0.weight_{end}"].float() for end in "gv")
    wanted = length * direction / direction.norm(dim=(1, 2), keepdim=True)
    found = read_voice(voice_file(tmp_path, changed(renamed))).network.dec.ups[0].weight
    assert torch.allclose(found, wanted, atol=1e-6)


def at(place: int, value: Any) -> Change:
    """Another value in `config`."""
    return lambda made: made["config"].__setitem__(place, value)


REFUSED: list[tuple[Change, str, str]] = [
    (lambda made: made.update(f0=0), "voice_format", "without pitch"),
    (lambda made: made.update(version="v3"), "voice_format", "neither v1 nor v2"),
    (lambda made: made.update(version=["v2"]), "voice_format", "neither v1 nor v2"),
    (lambda made: made.update(embedder_model="spin"), "voice_format", "content encoder"),
    (lambda made: made.update(vocoder="RefineGAN"), "voice_format", "vocoder"),
    (lambda made: made.update(config=[1, 2]), "voice_format", "18 values"),
    (lambda made: made.update(config="x"), "voice_format", "18 values"),
    (at(12, [10] * 500), "voice_format", "upsampling"),
    (at(12, [12, 10, 2, 2]), "voice_format", "upsampling"),
    (at(-1, 44100), "voice_format", "upsampling"),
    (at(3, 10**9), "voice_format", "architecture"),
    (at(6, 10**9), "voice_format", "architecture"),
    (at(11, [[10**9] * 3] * 3), "voice_format", "architecture"),
    (lambda made: made["weight"].pop("emb_g.weight"), "voice_format", "table of speakers"),
    (lambda made: made["weight"].update({"emb_g.weight": torch.ones(5000, 1)}), "voice_format", "table of speakers"),
    (lambda made: made["weight"].update({"emb_g.weight": torch.ones(3, 255)}), "checkpoint_schema", "emb_g.weight"),
    (lambda made: made["weight"].pop("dec.conv_pre.bias"), "checkpoint_schema", "lacks dec.conv_pre.bias"),
    (lambda made: made["weight"].update(extra=torch.ones(2)), "checkpoint_schema", "extra too many"),
    (lambda made: made["weight"].update({7: torch.ones(2)}), "voice_format", "names"),
    (lambda made: made["weight"].update({"dec.conv_pre.bias": torch.ones(512).long()}), "checkpoint_schema", "int64"),
    (lambda made: made["weight"].update({"dec.conv_pre.bias": "x"}), "checkpoint_schema", "no tensor"),
    (
        lambda made: made["weight"].update({"dec.conv_pre.bias": torch.full((512,), torch.nan)}),
        "checkpoint_numbers",
        "not finite",
    ),
]


@pytest.mark.parametrize(
    ("change", "code", "word"), REFUSED, ids=[f"{number} {word}" for number, (_, _, word) in enumerate(REFUSED)]
)
def test_another_network_is_refused_with_what_is_wrong(tmp_path: Path, change: Change, code: str, word: str) -> None:
    """Each reason has its words."""
    refused = refusal(tmp_path, changed(change))
    assert (refused.code, word in refused.sentence) == (code, True), refused.sentence


@pytest.mark.parametrize("made", [[1], {"model": {}, "optimizer": {}}, {"weight": 1, "config": []}, torch.ones(2)])
def test_what_is_no_voice_says_so(tmp_path: Path, made: Any) -> None:
    """A training checkpoint above all: people mix them up."""
    assert "extracted" in refusal(tmp_path, made).sentence


@pytest.mark.parametrize(("said", "counted"), [(2, 2), (109, 1), (True, 1), ("2", 1), (None, 1)])
def test_how_many_speakers_a_voice_has_applio_says(said: Any, counted: int) -> None:
    """The rows of the table say nothing: RVC makes 109 for one person. A number beyond them is none."""
    assert _speakers({"speakers_id": said}, shape()) == counted
    assert _speakers({}, shape()) == 1


def test_a_package_of_applio_s_v3_is_another_network(tmp_path: Path) -> None:
    """Not a training checkpoint, of which a voice could be extracted."""
    sentence = refusal(tmp_path, {"backend": "applio-v3", "kind": "acoustic", "weights": {}}).sentence
    assert "v3" in sentence
    assert "extracted" not in sentence


def test_a_half_file_is_refused(tmp_path: Path) -> None:
    """A download that broke off."""
    path = voice_file(tmp_path, contents())
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(VoiceRefused):
        read_voice(path)


def test_a_graph_is_no_voice_file(tmp_path: Path) -> None:
    """Graphs of strangers are not taken: they are made of the checkpoint."""
    (tmp_path / "voice.onnx").write_bytes(b"anything")
    with pytest.raises(VoiceRefused, match=r"use that") as caught:
        read_voice(tmp_path / "voice.onnx")
    assert caught.value.code == "voice_format"
