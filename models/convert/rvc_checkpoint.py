"""An RVC voice file (`.pth`, v1 or v2): its schema, and the way from the file to a network.

The format is RVC-Project's small inference checkpoint (MIT, `infer/lib/train/process_ckpt.py`): a dict of `weight`,
`config` (18 values), `info`, `sr`, `f0`, `version`. Called by `models.convert.voice_import`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from models.convert import weights
from models.convert.checkpoint_file import CheckpointFile, TensorEntry
from models.convert.rvc_network import RvcNetwork, RvcShape
from models.voice_refusal import VoiceRefused

Version = Literal["v1", "v2"]

MAX_BYTES = 512 << 20
MAX_SPEAKERS = 4096
FRAMES_PER_S = 100
FEATURE_WIDTHS = {"v1": 256, "v2": 768}
# Applio and its forks have several names for the same two; None is a file that names none, as RVC's are.
ENCODERS = frozenset({None, "contentvec", "contentvec_base", "hubert", "hubert_base"})
VOCODERS = frozenset({None, "Default", "HiFi-GAN", "HiFi-GAN-NSF"})

# Upsampling by sample rate and version: the configurations that RVC-Project publishes; 40 kHz is the same in both.
UPSAMPLING = {
    (48000, "v2"): ((12, 10, 2, 2), (24, 20, 4, 4)),
    (48000, "v1"): ((10, 6, 2, 2, 2), (16, 16, 4, 4, 4)),
    (40000, "v2"): ((10, 10, 2, 2), (16, 16, 4, 4)),
    (40000, "v1"): ((10, 10, 2, 2), (16, 16, 4, 4)),
    (32000, "v2"): ((10, 8, 2, 2), (20, 16, 4, 4)),
    (32000, "v1"): ((10, 4, 2, 2, 2), (16, 16, 4, 4, 4)),
}


class RvcConfig(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The 18 values of `config`, in their order."""

    spec_channels: int
    segment_size: int
    inter_channels: int
    hidden_channels: int
    filter_channels: int
    n_heads: int
    n_layers: int
    kernel_size: int
    p_dropout: float
    resblock: str
    resblock_kernel_sizes: list[int]
    resblock_dilation_sizes: list[list[int]]
    upsample_rates: list[int]
    upsample_initial_channel: int
    upsample_kernel_sizes: list[int]
    spk_embed_dim: int
    gin_channels: int
    sr: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class RvcVoice:
    """A voice ready to be exported: the network in float32, and what its file says of it."""

    network: RvcNetwork
    shape: RvcShape
    version: Version
    sha256: str
    speakers: int
    """Whom it was trained on, of whom the first is used; the rows of its table are 109 in RVC, whoever is in them."""


def read_voice(path: Path) -> RvcVoice:
    """Check and load a voice. Raises `VoiceRefused`; nothing in the file is run, whatever it is."""
    if path.suffix.lower() == ".onnx":
        raise _refused(path.name, "graphs are made here, of the voice's .pth: use that")
    file = CheckpointFile(path, max_bytes=MAX_BYTES)
    contents = _as_voice(path.name, file.contents)
    version = _version(path.name, contents)
    shape = _shape(path.name, contents, version)
    with torch.device("meta"):
        network = RvcNetwork(shape)
    weights.check(path.name, contents["weight"], weights.expected(network, norm_axis))
    tensors = {weights.plain_name(key): value for key, value in file.tensors()["weight"].items()}
    weights.load(path.name, network, tensors, norm_axis)
    return RvcVoice(
        network=network,
        shape=shape,
        version=version,
        sha256=hashlib.sha256(file.data).hexdigest(),
        speakers=_speakers(contents, shape),
    )


def norm_axis(layer: str) -> int | None:
    """Which layers of the voice network are weight-normalized; always over the first axis, transposed ones too."""
    if layer.startswith(("dec.ups.", "dec.resblocks.")) or (layer.startswith("flow.") and ".enc." in layer):
        return 0
    return None


def _as_voice(name: str, contents: Any) -> dict[str, Any]:
    """The dict, its weights by their older names and without the posterior encoder that is only for training."""
    if isinstance(contents, dict) and contents.keys() >= {"backend", "weights"}:
        raise _refused(name, "it is a package of Applio's v3, another network: RVC v1 and v2 voices are taken")
    if not isinstance(contents, dict) or not isinstance(contents.get("weight"), dict) or "config" not in contents:
        raise _refused(
            name,
            "it is not an RVC voice: those hold `weight` and `config`. A training checkpoint (G_*.pth) must first be "
            "extracted to a small model with RVC",
        )
    if not all(isinstance(key, str) for key in contents["weight"]):
        raise _refused(name, "its weights have names that are no words")
    named = {weights.plain_name(key): value for key, value in contents["weight"].items()}
    kept = {key: value for key, value in named.items() if not key.startswith("enc_q.")}
    if contents.get("f0", 1) not in (1, "1"):
        raise _refused(name, "it was trained without pitch (f0 = 0), and Mirage converts voices that have it")
    _check_extras(name, contents)
    return {**contents, "weight": kept}


def _check_extras(name: str, contents: dict[str, Any]) -> None:
    """What Applio adds: other encoders and vocoders make other networks that only look the same."""
    if not _among(contents.get("embedder_model"), ENCODERS):
        raise _refused(name, "it was trained on another content encoder than ContentVec")
    if not _among(contents.get("vocoder"), VOCODERS):
        raise _refused(name, "it has another vocoder than HiFi-GAN")


def _among(value: Any, known: frozenset[str | None]) -> bool:
    """Whether a value of whatever kind is one of the known words."""
    return (value is None or type(value) is str) and value in known


def _version(name: str, contents: dict[str, Any]) -> Version:
    """What the file says; where it says nothing, its width of features: RVC itself would take any for v1."""
    if "version" not in contents:
        entry = contents["weight"].get("enc_p.emb_phone.weight")
        wide = type(entry) is TensorEntry and entry.shape[1:] == (FEATURE_WIDTHS["v2"],)
        return "v2" if wide else "v1"
    version: Version = "v2" if contents["version"] == "v2" else "v1"
    if contents["version"] != version:
        raise _refused(name, "its version is neither v1 nor v2")
    return version


def _shape(name: str, contents: dict[str, Any], version: Version) -> RvcShape:
    """The sizes, bounded before anything of that size is made; the number of speakers is that of the embedding."""
    try:
        config = msgspec.convert(contents["config"], RvcConfig)
    except (msgspec.ValidationError, RecursionError):
        raise _refused(name, "its `config` is not RVC's list of 18 values") from None
    table = contents["weight"].get("emb_g.weight")
    if type(table) is not TensorEntry or len(table.shape) != 2 or not 1 <= table.shape[0] <= MAX_SPEAKERS:
        raise _refused(name, f"its table of speakers is missing or larger than {MAX_SPEAKERS} rows")
    rates, kernels = tuple(config.upsample_rates), tuple(config.upsample_kernel_sizes)
    # Some writers put "48k" in place of the rate; the rates themselves say it, since a frame is 10 ms.
    sample_rate_hz = _sample_rate(config, rates)
    if UPSAMPLING.get((sample_rate_hz, version)) != (rates, kernels):
        raise _refused(name, f"its upsampling is none of RVC's at 32, 40 or 48 kHz for {version}")
    _check_fixed(name, config)
    return RvcShape(
        feature_width=FEATURE_WIDTHS[version],
        channels=config.inter_channels,
        hidden=config.hidden_channels,
        inner=config.filter_channels,
        heads=config.n_heads,
        layers=config.n_layers,
        kernel=config.kernel_size,
        block_kernels=tuple(config.resblock_kernel_sizes),
        block_dilations=tuple(tuple(dilations) for dilations in config.resblock_dilation_sizes),
        rates=rates,
        initial=config.upsample_initial_channel,
        up_kernels=kernels,
        speakers=table.shape[0],
        speaker_channels=config.gin_channels,
        sample_rate_hz=sample_rate_hz,
    )


def _speakers(contents: dict[str, Any], shape: RvcShape) -> int:
    """As Applio says it; one where the file does not."""
    said = contents.get("speakers_id")
    return said if type(said) is int and 1 <= said <= shape.speakers else 1


def _sample_rate(config: RvcConfig, rates: tuple[int, ...]) -> int:
    hop = 1
    for rate in rates[:8]:
        hop *= rate
    declared = {48000: "48k", 40000: "40k", 32000: "32k"}
    rate_hz = hop * FRAMES_PER_S
    return rate_hz if config.sr in (rate_hz, declared.get(rate_hz)) else 0


def _check_fixed(name: str, config: RvcConfig) -> None:
    """RVC trains one architecture; a file that says otherwise is not one of its voices."""
    found = (
        (config.inter_channels, config.hidden_channels, config.filter_channels, config.n_heads, config.n_layers),
        (config.kernel_size, config.resblock, config.resblock_kernel_sizes, config.resblock_dilation_sizes),
        (config.upsample_initial_channel, config.gin_channels),
    )
    wanted = (192, 192, 768, 2, 6), (3, "1", [3, 7, 11], [[1, 3, 5], [1, 3, 5], [1, 3, 5]]), (512, 256)
    if found != wanted:
        raise _refused(name, "its `config` is not that of RVC's one architecture")


def _refused(name: str, why: str) -> VoiceRefused:
    return VoiceRefused("voice_format", f"{name} is not used: {why}.")
