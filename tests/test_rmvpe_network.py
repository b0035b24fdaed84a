"""The pitch network: against the original's salience, and its shape contract."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert import weights
from models.convert.rmvpe_network import RmvpeNetwork, norm_axis
from models.rmvpe_decode import pitch_hz
from models.rmvpe_front import log_mel, padded_to_network
from tests import golden, voice_checkpoints


def empty() -> RmvpeNetwork:
    """Names and shapes without numbers."""
    with torch.device("meta"):
        return RmvpeNetwork()


@golden.needed
def test_salience_and_pitch_are_those_of_the_original() -> None:
    """From a given picture to 1e-5; from sound, through our own front end, to 1e-5 and a hundredth of a cent."""
    stored, made = golden.arrays("rmvpe"), empty()
    tensors = {name: torch.from_numpy(value) for name, value in golden.weights("rmvpe").items()}
    assert weights.expected(made, norm_axis) == {name: tuple(value.shape) for name, value in tensors.items()}
    weights.load("rmvpe.pt", made, tensors, norm_axis)
    picture = torch.from_numpy(golden.unit("rmvpe/caseA/mel", (1, 128, 64)) * 2 - 4)
    heard = log_mel(stored["wave"])
    with torch.inference_mode():
        salience = made(picture)[0].numpy()
        from_sound = made(torch.from_numpy(padded_to_network(heard))[None])[0].numpy()[: heard.shape[1]]
    assert abs(salience - stored["salience"]).max() <= 1e-5
    assert abs(from_sound - stored["hidden_from_mel"]).max() <= 1e-5
    found, wanted = pitch_hz(from_sound), stored["f0_from_audio"]
    assert ((found > 0) == (wanted > 0)).all()
    voiced = wanted > 0
    assert abs(1200 * np.log2(found[voiced] / wanted[voiced])).max() <= 0.01


def test_time_is_kept_and_activations_are_between_0_and_1() -> None:
    """32 frames of mel to 32 rows of 360."""
    made = empty()
    weights.load("rmvpe.pt", made, voice_checkpoints.random_weights(made, norm_axis), norm_axis)
    with torch.inference_mode():
        out = made(torch.randn(1, 128, 32, generator=torch.Generator().manual_seed(1)) - 5)
    assert out.shape == (1, 32, 360)
    assert 0 < float(out.min()) < float(out.max()) < 1
