"""The agreement between importer and engine: the sizes of the windows."""

import pytest

from models.voice_graph import (
    DECODER_OPEN,
    FLOW_FRAMES,
    FLOWED_FRAMES,
    FRAMES,
    HEARD_AHEAD_FRAMES,
    HOPS_MS,
    LADDER,
    LATENT_OPEN,
    LEFT_FRAMES,
    SAMPLES,
    SEEN_FRAMES,
    STEP_FRAMES,
    STEPS,
    Rung,
    decoder_inputs,
    latent_inputs,
)


def test_the_ladder_is_on_the_grid_of_the_networks() -> None:
    """Steps of 20 ms, a frame of the content encoder; 40 ms is the first."""
    assert HOPS_MS[0] == 40
    assert all(hop % 20 == 0 for hop in HOPS_MS)
    assert list(HOPS_MS) == sorted(HOPS_MS)


@pytest.mark.parametrize("rung", LADDER)
def test_a_window_holds_the_hop_with_its_edges_at_every_formant(rung: Rung) -> None:
    """The highest formant, two semitones, stretches the hop and what is ahead of it by an eighth."""
    assert rung.decoded >= LEFT_FRAMES + (rung.hop + HEARD_AHEAD_FRAMES) * 2 ** (2 / 12)
    assert rung.steps * STEP_FRAMES == rung.hop
    assert FLOW_FRAMES + STEP_FRAMES <= FLOWED_FRAMES < SEEN_FRAMES


def test_inputs_are_named_and_sized_for_the_voice() -> None:
    """At 48 kHz a frame is 480 samples."""
    latent = {port.name: port for port in latent_inputs(Rung(60), feature_width=768)}
    assert latent["features"].shape == (3, SEEN_FRAMES, 768)
    assert latent["coarse_pitch"].dtype == "int64"
    decoder = {port.name: port for port in decoder_inputs(Rung(40), frame_samples=480)}
    assert decoder["source_noise"].shape == (1, Rung(40).decoded * 480, 1)


@pytest.mark.parametrize("rung", LADDER)
def test_open_sizes_are_those_of_the_rung(rung: Rung) -> None:
    """And no other size of an input differs from rung to rung."""
    sizes = {STEPS: rung.steps, FRAMES: rung.decoded, SAMPLES: rung.decoded * 480}
    ports = (*latent_inputs(rung, feature_width=768), *decoder_inputs(rung, frame_samples=480))
    others = (*latent_inputs(LADDER[0], feature_width=768), *decoder_inputs(LADDER[0], frame_samples=480))
    for port, other, opened in zip(ports, others, 4 * [LATENT_OPEN] + 5 * [DECODER_OPEN], strict=True):
        for axis, (size, elsewhere) in enumerate(zip(port.shape, other.shape, strict=True)):
            called = opened.get(port.name, {}).get(axis)
            assert size == (sizes[called] if called else elsewhere), port.name
