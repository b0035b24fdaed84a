"""The whole voice network: against the outputs of the original code, and the parts that those do not show."""

import pytest

pytest.importorskip("torch")

import torch

from models.coarse_pitch import coarse_pitch
from models.convert import weights
from models.convert.rvc_checkpoint import norm_axis
from models.convert.rvc_network import RvcNetwork, RvcShape
from tests import golden, voice_checkpoints

FRAMES = 60
VOICES = {"rvc_v2_48k": (48000, "v2"), "rvc_v2_40k": (40000, "v2"), "rvc_v1_40k": (40000, "v1")}


def network(sample_rate_hz: int, version: str, tensors: dict[str, torch.Tensor] | None = None) -> RvcNetwork:
    """With those weights, or with random ones."""
    with torch.device("meta"):
        made = RvcNetwork(voice_checkpoints.shape(sample_rate_hz, version))
    weights.load("voice.pth", made, tensors or voice_checkpoints.random_weights(made, norm_axis), norm_axis)
    return made


def phases(pitch_hz: torch.Tensor) -> torch.Tensor:
    """The running sum, in cycles, at the start of each frame."""
    step = pitch_hz.double() / 100
    return ((torch.cumsum(step, 1) - step) % 1).float()


@golden.needed
@pytest.mark.parametrize("mode", ["full", "realtime"])
@pytest.mark.parametrize("tag", VOICES)
def test_latent_excitation_and_audio_are_those_of_the_original(tag: str, mode: str) -> None:
    """RVC's own network on the same weights, noise and pitch: 1e-4, 3e-5 and 2e-4 (the tolerances of the recording)."""
    stored = golden.arrays(tag)
    tensors = {name: torch.from_numpy(value) for name, value in golden.weights(tag).items()}
    with torch.device("meta"):
        made = RvcNetwork(_with_speakers(tag, tensors["emb_g.weight"].shape[0]))
    weights.load(tag, made, tensors, norm_axis)
    first, last = (0, FRAMES) if mode == "full" else (20, 50)
    width, hop = made.enc_p.emb_phone.in_features, VOICES[tag][0] // 100
    assert (coarse_pitch(stored["f0"]) == stored["pitch"]).all()
    with torch.inference_mode():
        speaker = made.speaker(torch.tensor([0]))
        features = torch.from_numpy(golden.unit(f"{tag}/caseA/phone", (1, FRAMES, width)))
        noise = torch.from_numpy(golden.unit(f"{tag}/caseA/{mode}/noise_z", (1, 192, FRAMES)))
        latent = made.latent(features, torch.from_numpy(stored["pitch"])[None], noise, speaker)[:, :, first:last]
        pitch_hz = torch.from_numpy(stored["f0"])[None, first:last]
        source_noise = golden.unit(f"{tag}/caseA/{mode}/noise_src", (1, (last - first) * hop, 1))
        excitation = made.dec.m_source(pitch_hz, phases(pitch_hz), torch.from_numpy(source_noise))
        audio = made.dec(latent, excitation, speaker)
    assert float((latent[0] - torch.from_numpy(stored[f"{mode}_z"])).abs().max()) <= 1e-4
    assert float((excitation.flatten() - torch.from_numpy(stored[f"{mode}_har_source"])).abs().max()) <= 3e-5
    assert float((audio.flatten() - torch.from_numpy(stored[f"{mode}_audio"])).abs().max()) <= 2e-4


def _with_speakers(tag: str, speakers: int) -> RvcShape:
    return voice_checkpoints.shape(*VOICES[tag], speakers=speakers)


@golden.needed
@pytest.mark.parametrize("tag", VOICES)
def test_names_and_shapes_are_those_of_the_public_layout(tag: str) -> None:
    """The schema that a file is checked against is derived from our network: it is the recorded one, name by name."""
    wanted = {entry["name"]: tuple(entry["shape"]) for entry in golden.schema(tag)["tensors"]}
    with torch.device("meta"):
        made = RvcNetwork(_with_speakers(tag, wanted["emb_g.weight"][0]))
    assert weights.expected(made, norm_axis) == wanted


def test_the_flow_may_run_on_the_last_frames_only() -> None:
    """Noise for the last frames: their latent is that of the whole, from 24 frames after the cut on."""
    made, random = network(40000, "v2"), torch.Generator().manual_seed(3)
    features = torch.randn(1, 70, 768, generator=random)
    pitch = torch.randint(1, 256, (1, 70), generator=random)
    noise = torch.randn(1, 192, 70, generator=random)
    with torch.inference_mode():
        speaker = made.speaker(torch.tensor([1]))
        whole = made.latent(features, pitch, noise, speaker)
        last = made.latent(features, pitch, noise[:, :, -40:], speaker)
    assert last.shape == (1, 192, 40)
    assert torch.allclose(last[:, :, 24:], whole[:, :, -16:], atol=1e-4)


def test_speakers_and_pitch_are_heard() -> None:
    """Each input reaches the audio."""
    made, random = network(32000, "v1"), torch.Generator().manual_seed(3)
    features, noise = torch.randn(1, 20, 256, generator=random), torch.randn(1, 192, 20, generator=random)
    low = torch.full((1, 20), 40)
    with torch.inference_mode():
        one, other = made.speaker(torch.tensor([0])), made.speaker(torch.tensor([2]))
        latent = made.latent(features, low, noise, one)
        assert not torch.allclose(latent, made.latent(features, low, noise, other), atol=1e-3)
        assert not torch.allclose(latent, made.latent(features, low * 4, noise, one), atol=1e-3)
        assert not torch.allclose(latent, made.latent(features * 0.5, low, noise, one), atol=1e-3)
