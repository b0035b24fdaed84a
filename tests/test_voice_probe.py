"""Made-up inputs for a voice's graphs."""

import numpy as np
import pytest

from models.voice_graph import LADDER, Rung, decoder_inputs, latent_inputs
from models.voice_probe import PITCH_HZ, decoder_probe, latent_probe


@pytest.mark.parametrize("rung", LADDER)
def test_every_port_has_its_input(rung: Rung) -> None:
    """Of its size and kind."""
    latent, decoder = latent_probe(rung, 256), decoder_probe(rung, 320)
    pairs = ((latent, latent_inputs(rung, feature_width=256)), (decoder, decoder_inputs(rung, frame_samples=320)))
    for made, ports in pairs:
        for port in ports:
            assert (made[port.name].shape, made[port.name].dtype.name) == (port.shape, port.dtype)


def test_it_is_a_steady_pitch_and_the_same_each_time() -> None:
    """The phase goes on by the pitch; a second probe is equal."""
    one, two = decoder_probe(Rung(40), 400), decoder_probe(Rung(40), 400)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    turns = np.diff(one["phase"][0].astype(np.float64)) % 1
    np.testing.assert_allclose(turns, PITCH_HZ / 100 % 1, atol=1e-6)
