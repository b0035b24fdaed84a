"""The content network: against the original's features, and what it does with time."""

import pytest

pytest.importorskip("torch")

import torch

from models.convert import weights
from models.convert.hubert_network import TRAINING_ONLY, HubertNetwork, norm_axis
from tests import golden, voice_checkpoints


def empty() -> HubertNetwork:
    """Names and shapes without numbers."""
    with torch.device("meta"):
        return HubertNetwork()


@golden.needed
def test_features_are_those_of_the_original() -> None:
    """The last layer for v2 voices, the ninth projected for v1: 2e-4, as two ways of computing it differ by 2e-5."""
    stored, made = golden.arrays("hubert_base"), empty()
    tensors = {name: torch.from_numpy(value) for name, value in golden.weights("hubert_base").items()}
    shapes = {name: tuple(value.shape) for name, value in tensors.items() if name != TRAINING_ONLY}
    assert weights.expected(made, norm_axis) == shapes
    weights.load("contentvec", made, tensors, norm_axis)
    wave = torch.from_numpy(stored["wave"])[None]
    with torch.inference_mode():
        last, projected = made(wave)[0].numpy(), made.projected(wave)[0].numpy()
    assert abs(last - stored["last_hidden_state"]).max() <= 2e-4
    assert abs(projected - stored["v1_feats_layer9_final_proj"]).max() <= 2e-4


def test_what_only_training_uses_need_not_be_in_the_file() -> None:
    """Some writers leave it out."""
    assert TRAINING_ONLY not in weights.expected(empty(), norm_axis)


def test_a_second_is_49_frames_and_the_waveform_is_not_normalized() -> None:
    """(N - 400) // 320 + 1. The first layer's norm makes loudness matter little, but it is not taken out."""
    made = empty()
    weights.load("contentvec", made, voice_checkpoints.random_weights(made, norm_axis), norm_axis)
    wave = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert made(wave).shape == (1, 49, 768)
        assert made.projected(wave[:, :720]).shape == (1, 2, 256)
