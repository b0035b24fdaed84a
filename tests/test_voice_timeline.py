"""The commit-once timeline: what is written stays, windows of all hops agree, as many frames leave as came."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.voice_graph import (
    AHEAD_FRAMES,
    BEYOND_FRAMES,
    HEARD_AHEAD_FRAMES,
    HELD_FRAMES,
    LADDER,
    LATENT_AHEAD_FRAMES,
    LATENT_CHANNELS,
    STEP_FRAMES,
    Rung,
    decoder_inputs,
    latent_inputs,
)
from models.voice_timeline import PROMISED_FRAMES, Frames, VoiceTimeline

WIDTH, FRAME = 8, 40


def timeline(seed: int = 1) -> VoiceTimeline:
    """Narrow features, short frames."""
    return VoiceTimeline(feature_width=WIDTH, frame_samples=FRAME, seed=seed)


def features(begin: int, end: int) -> NDArray[np.float32]:
    """By absolute frame, counted from the first real one."""
    return (np.arange(begin, end)[:, None] + np.arange(WIDTH) / 10).astype(np.float32)


def pitch_hz(begin: int, end: int) -> NDArray[np.float64]:
    """A glide with a pause."""
    frames = np.arange(begin, end)
    return np.where(frames % 50 < 8, 0.0, 120.0 + frames % 37)


def frames(begin: int, end: int) -> Frames:
    """Both."""
    return Frames(features=features(begin, end), pitch_hz=pitch_hz(begin, end))


def commit(line: VoiceTimeline, begin: int, end: int) -> None:
    """What follows each 20 ms is what will be committed."""
    line.commit(frames(begin, end), frames(begin + LATENT_AHEAD_FRAMES, end + LATENT_AHEAD_FRAMES))


def latent_of(feeds: dict[str, NDArray[Any]], hop: int) -> NDArray[np.float32]:
    """A latent graph that only copies: channel 0 a frame's first feature, channel 1 its first noise."""
    latent = np.zeros((1, LATENT_CHANNELS, hop + LATENT_AHEAD_FRAMES), np.float32)
    last = hop // STEP_FRAMES - 1
    for frame in range(hop + LATENT_AHEAD_FRAMES):
        row = min(frame // STEP_FRAMES, last)
        place = STEP_FRAMES + BEYOND_FRAMES - (frame - STEP_FRAMES * row)  # the step, two frames ahead, those held
        latent[0, 0, frame] = feeds["features"][row, -place, 0]
        latent[0, 1, frame] = feeds["latent_noise"][row, 0, -place]
    return latent


def silent(rung: Rung) -> NDArray[np.float32]:
    """What the latent graph gives of nothing."""
    return np.zeros((1, LATENT_CHANNELS, rung.hop + LATENT_AHEAD_FRAMES), np.float32)


def streamed(hops: list[Rung]) -> tuple[list[dict[str, NDArray[Any]]], VoiceTimeline]:
    """The decoder's inputs, hop by hop."""
    line, seen, first = timeline(), [], 0
    for rung in hops:
        commit(line, first, first + rung.hop)
        line.commit_latent(latent_of(line.latent_feeds(rung, 0), rung.hop))
        seen.append(line.decoder_feeds(rung, 0))
        line.cut(np.zeros((1, rung.decoded * FRAME), np.float32), rung)
        first += rung.hop
    return seen, line


@pytest.mark.parametrize("rung", LADDER)
def test_feeds_fit_the_graphs_from_the_first_hop_on(rung: Rung) -> None:
    """Names, order, sizes and kinds as agreed with the importer."""
    line = timeline()
    commit(line, 0, rung.hop)
    latent_feeds = line.latent_feeds(rung, 2)
    line.commit_latent(silent(rung))
    pairs = (
        (latent_feeds, latent_inputs(rung, feature_width=WIDTH)),
        (line.decoder_feeds(rung, 2), decoder_inputs(rung, frame_samples=FRAME)),
    )
    for feeds, ports in pairs:
        assert list(feeds) == [port.name for port in ports]
        for port in ports:
            assert (feeds[port.name].shape, feeds[port.name].dtype.name) == (port.shape, port.dtype)
        assert feeds["speaker"][0] == 2


def test_every_hop_shows_a_frame_the_same() -> None:
    """A mixed ladder and 40 ms throughout: the decoder's window before the same frame is the same, in every input."""
    mixed = [Rung(40), Rung(60), Rung(200), Rung(120), Rung(160), Rung(80), Rung(100), Rung(40)] * 2
    frames = sum(rung.hop for rung in mixed)
    steady = [Rung(40)] * (frames // 4)
    one, other = streamed(mixed)[0][-1], streamed(steady)[0][-1]
    for name in one:
        assert np.array_equal(one[name], other[name]), name
    assert one["latent"].std() > 0


def test_the_audio_of_a_frame_comes_30_ms_after_it_was_committed() -> None:
    """Channel 0 of the latent is the number of the frame: at the cut it is the hop's, less what is looked ahead."""
    rung = Rung(40)
    seen, line = streamed([rung] * 30)
    cut = seen[-1]["latent"][0, 0, -(rung.hop + HEARD_AHEAD_FRAMES) : -HEARD_AHEAD_FRAMES]
    assert list(cut) == [frame - AHEAD_FRAMES for frame in range(116, 120)]
    assert line.heard == 120
    assert AHEAD_FRAMES == 3


def test_the_decoder_is_shown_what_seems_to_follow_and_that_is_never_committed() -> None:
    """Another guess at what follows: behind the last frame that was committed all is as guessed, before it nothing."""
    shown = []
    for guess in (500, 900):
        line, rung = timeline(), Rung(40)
        for first in range(0, 80, 4):
            seemed = Frames(features=features(guess, guess + 4), pitch_hz=np.full(4, float(guess)))
            line.commit(frames(first, first + 4), seemed)
            given = line.latent_feeds(rung, 0)
            line.commit_latent(latent_of(given, rung.hop))
            feeds = line.decoder_feeds(rung, 0)
            line.cut(np.zeros((1, rung.decoded * FRAME), np.float32), rung)
        shown.append(feeds)
        assert list(given["features"][-1, -HELD_FRAMES:, 0]) == [guess + 3] * HELD_FRAMES
        assert list(feeds["latent"][0, 0, -LATENT_AHEAD_FRAMES:]) == [guess + 2, guess + 3]
        assert list(feeds["pitch_hz"][0, -LATENT_AHEAD_FRAMES:]) == [guess] * LATENT_AHEAD_FRAMES
    for name in ("latent", "pitch_hz"):
        one, other = (feeds[name][..., :-LATENT_AHEAD_FRAMES] for feeds in shown)
        assert np.array_equal(one, other), name


def test_the_phase_is_the_running_sum_of_the_pitch() -> None:
    """In cycles at each frame's start, over the pauses too."""
    seen, _ = streamed([Rung(60)] * 40)
    feeds = seen[-1]
    turns = np.diff(feeds["phase"][0].astype(np.float64))
    wanted = feeds["pitch_hz"][0, :-1].astype(np.float64) / 100
    apart = (turns - wanted + 0.5) % 1 - 0.5
    assert np.abs(apart).max() < 1e-5
    assert (feeds["phase"] >= 0).all()
    assert (feeds["phase"] < 1).all()


def test_noise_is_a_function_of_the_frame() -> None:
    """However it is asked for, also before the stream began; other seeds, other noise; Gaussian of variance 1."""
    line = timeline()
    whole = line.latent_noise(-40, 60)
    assert np.array_equal(whole[:, 33:50], line.latent_noise(-7, 10))
    assert np.array_equal(line.source_noise(5, 9), line.source_noise(0, 20)[5 * FRAME : 9 * FRAME])
    assert not np.array_equal(timeline(2).latent_noise(0, 4), line.latent_noise(0, 4))
    assert abs(float(whole.std()) - 1) < 0.02
    columns = np.corrcoef(whole.T)
    assert np.abs(columns - np.eye(100)).max() < 0.4


def test_a_cut_is_the_hop_and_what_lies_behind_it() -> None:
    """A frame behind it is left for the guard, of those that the decoder looked ahead."""
    rung = Rung(40)
    line, audio = streamed([rung] * 9)[1], np.arange(rung.decoded * FRAME, dtype=np.float32)[None]
    line.commit(frames(36, 40), frames(38, 42))
    line.commit_latent(silent(rung))
    line.decoder_feeds(rung, 0)
    hop, behind = line.cut(audio, rung)
    assert len(hop) == rung.hop * FRAME
    assert len(behind) == PROMISED_FRAMES * FRAME
    assert hop[-1] + 1 == behind[0]
    assert audio[0, -1] - behind[-1] == (HEARD_AHEAD_FRAMES - PROMISED_FRAMES) * FRAME


def test_a_formant_glides_and_leaves_the_pitch_alone() -> None:
    """A tenth of a semitone a frame; what the decoder sings is lower by as much as it is played faster."""
    line, rung, first = timeline(), Rung(40), 0
    line.formant_ratio = 1.122
    for _ in range(30):
        steady = Frames(features=features(first, first + 4), pitch_hz=np.full(4, 200.0))
        line.commit(steady, steady)
        line.commit_latent(silent(rung))
        feeds = line.decoder_feeds(rung, 0)
        line.cut(np.zeros((1, rung.decoded * FRAME), np.float32), rung)
        first += 4
        if first == 16:
            sung = feeds["pitch_hz"][0, -4 - LATENT_AHEAD_FRAMES : -LATENT_AHEAD_FRAMES]
            assert np.diff(12 * np.log2(sung)) == pytest.approx(-0.1, abs=0.02)
    assert feeds["pitch_hz"][0] == pytest.approx(200 / 2 ** (2 / 12), rel=1e-5)


def test_frames_without_a_pitch_are_refused() -> None:
    """Both are committed together."""
    with pytest.raises(ValueError, match="a pitch"):
        timeline().commit(Frames(features=features(0, 4), pitch_hz=pitch_hz(0, 3)), frames(2, 6))
    with pytest.raises(ValueError, match="follows it"):
        timeline().commit(frames(0, 4), frames(2, 4))
