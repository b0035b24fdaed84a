"""The decoder's own time: one with the stream's while no formant is asked for, else resonances moved, nothing more."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.decoder_time import DecoderTime, Seeming
from models.frame_track import Track
from models.voice_graph import AHEAD_FRAMES, HEARD_AHEAD_FRAMES, LATENT_AHEAD_FRAMES, LATENT_CHANNELS, Rung

FRAME = 480
Array = NDArray[np.float32]


class Stream:
    """Latents, pitches and ratios, committed in hops; a decoder that sings a tone of 1 kHz in its own time."""

    def __init__(self) -> None:
        self.time = DecoderTime(FRAME)
        self.latent, self.pitch_hz, self.ratio = Track(LATENT_CHANNELS), Track(1, np.float64), Track(1, np.float64)
        self.heard = 0
        self.seen: dict[int, Array] = {}
        """By decoded frame what the decoder was shown: latent, pitch and phase."""

    def hop(self, hop: int, ratio: float, pitch_hz: float = 200.0) -> Array:
        """The next frames of sound."""
        count = hop if self.heard or self.latent.end else hop + AHEAD_FRAMES
        self.latent.append(numbered(self.latent.end, count))
        self.pitch_hz.append(np.full((count, 1), pitch_hz / ratio))
        self.ratio.append(np.full((count, 1), ratio))
        follow = np.full((LATENT_AHEAD_FRAMES, 1), pitch_hz / ratio)
        seeming = Seeming(latent=numbered(self.latent.end, LATENT_AHEAD_FRAMES), pitch_hz=follow)
        self.time.extend(self.latent, self.pitch_hz, self.ratio, seeming)
        shown = Rung(10 * hop).decoded
        window = self.time.window(shown, self.heard + hop)
        first = window.begin
        for place in range(shown):
            row = np.array([window.latent[0, 0, place], window.pitch_hz[0, place], window.phase[0, place]])
            if 0 <= first + place < self.time.end:
                assert np.array_equal(self.seen.setdefault(first + place, row), row)
        at = (first * FRAME + np.arange(shown * FRAME)) / (100 * FRAME)
        audio = np.sin(2 * np.pi * 1000 * at).astype(np.float32)
        played = self.time.play(audio, first, self.heard, hop + 1)
        self.heard += hop
        return played[: hop * FRAME]


def numbered(begin: int, count: int) -> Array:
    """Latents that are the numbers of their frames."""
    numbers = np.arange(begin, begin + count, dtype=np.float32)
    return np.repeat(numbers[:, None], LATENT_CHANNELS, axis=1)


def tone_hz(sound: Array) -> float:
    """Of a sine, by where it rises through zero."""
    rises = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    between = rises - sound[rises] / (sound[rises + 1] - sound[rises])
    return float(100 * FRAME * (len(rises) - 1) / (between[-1] - between[0]))


def test_without_a_formant_the_two_times_are_one() -> None:
    """Every latent and pitch as it was committed, and the very samples of the decoder."""
    stream = Stream()
    sound = np.concatenate([stream.hop(4, 1.0) for _ in range(20)])
    at = np.arange(len(sound)) / (100 * FRAME)
    # The tone is written to 32 bits at another place of its window in every hop.
    assert sound[FRAME:] == pytest.approx(np.sin(2 * np.pi * 1000 * at)[FRAME:], abs=1e-6)
    assert [stream.seen[frame][0] for frame in range(80)] == list(range(80))
    assert {stream.seen[frame][1] for frame in range(80)} == {200.0}


@pytest.mark.parametrize("ratio", [2 ** (-2 / 12), 0.97, 2 ** (1 / 12), 2 ** (2 / 12)])
def test_resonances_move_by_the_ratio(ratio: float) -> None:
    """And the sound is a clean tone still: what is not it lies 70 dB below."""
    stream = Stream()
    sound = np.concatenate([stream.hop(4, ratio) for _ in range(40)])[12 * FRAME :]
    assert tone_hz(sound) == pytest.approx(1000 * ratio, rel=1e-4)
    turns = 2 * np.pi * 1000 * ratio * np.arange(len(sound)) / (100 * FRAME)
    basis = np.stack([np.sin(turns), np.cos(turns)])
    rest = sound - np.linalg.lstsq(basis.T, sound, rcond=None)[0] @ basis
    assert rest.std() < 3e-4


def test_every_hop_shows_a_decoded_frame_the_same_while_the_ratio_changes() -> None:
    """40, 60, 120 ms and mixed: the same frames to the decoder and the same sound, over two changes of ratio."""
    made = []
    for hops in ([4], [6], [12], [4, 12, 6, 8, 6]):
        stream, sound, number = Stream(), [], 0
        while stream.heard < 216:
            ratio = 1.0 if stream.heard < 72 else 1.1 if stream.heard < 144 else 0.9
            sound.append(stream.hop(hops[number % len(hops)], ratio))
            number += 1
        made.append((stream, np.concatenate(sound)))
    steady, wanted = made[0]
    for stream, found in made[1:]:
        if stream.heard % 72 == 0 and len(found) == len(wanted):
            assert found[12 * FRAME :] == pytest.approx(wanted[12 * FRAME :], abs=2e-4)
        shared = set(stream.seen) & set(steady.seen)
        assert len(shared) > 200
        assert [frame for frame in sorted(shared) if not np.array_equal(stream.seen[frame], steady.seen[frame])] == []
    jumps = np.abs(np.diff(wanted[12 * FRAME :], 2))
    # A fifth of its speed is the most that the tone changes by at once; a gap or a step would be ten times that.
    assert jumps.max() < 0.2 * 2 * np.pi * 1000 / (100 * FRAME) + (2 * np.pi * 1100 / (100 * FRAME)) ** 2


def test_time_is_kept_over_many_formants() -> None:
    """The frames shown last are always those of now."""
    stream = Stream()
    for number in range(1000):
        stream.hop(4, 1.1 if number % 2 else 0.9)
        assert 0 <= stream.latent.end - 1 - stream.seen.pop(stream.time.end - 1)[0] < 1.2
        stream.seen.clear()


@pytest.mark.parametrize("ratio", [2 ** (-2 / 12), 1.0, 2 ** (1 / 12), 2 ** (2 / 12)])
def test_the_decoder_always_looks_five_frames_ahead(ratio: float) -> None:
    """Of its own; the last are as they seem, in the same time, or as those before."""
    stream = Stream()
    for _ in range(30):
        stream.hop(4, ratio)
        window = stream.time.window(Rung(40).decoded, stream.heard)
        latent, edge = window.latent[0, 0], stream.heard
        assert (latent >= edge - 1e-3).sum() >= HEARD_AHEAD_FRAMES
        assert latent[-1] <= stream.latent.end - 1 + LATENT_AHEAD_FRAMES
        assert latent[-1] >= stream.latent.end
        assert (np.diff(latent) >= 0).all()
        turns = np.diff(window.phase[0].astype(np.float64)) - window.pitch_hz[0, :-1] / 100
        assert np.abs((turns + 0.5) % 1 - 0.5)[-8:].max() < 1e-5
    assert latent[0] <= edge - 10


def test_an_edge_of_voicing_stays_an_edge() -> None:
    """No pitch lies half way to none."""
    stream = Stream()
    for number in range(20):
        stream.hop(4, 1.1, pitch_hz=0.0 if number % 3 == 0 else 220.0)
    sung = {round(float(row[1]), 3) for row in stream.seen.values()}
    assert sung == {0.0, 200.0}
