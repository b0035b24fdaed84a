"""The two ends of a WebRTC call, with decoded frames as aiortc gives them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.clock import Transit
from mirage_rtc.leg import Leg
from mirage_rtc.lip_sync import OPUS_LOOKAHEAD_S
from mirage_rtc.tracks import (
    ConvertedAudioTrack,
    SwappedVideoTrack,
    pump_audio,
    pump_video,
    to_i420,
    to_mono,
    working_size,
)
from tests.call_parts import WISHES, Hands, lanes, leg_parts, picture


class ScriptedTrack(MediaStreamTrack):
    """A remote track that gives its frames, 20 ms apart, and ends."""

    def __init__(self, kind: str, frames: list[VideoFrame | AudioFrame], clock: Hands | None = None) -> None:
        super().__init__()
        self._clock = clock or Hands()
        self.kind = kind
        self._frames = frames

    async def recv(self) -> VideoFrame | AudioFrame:
        """The next frame."""
        await asyncio.sleep(0)
        if not self._frames:
            raise MediaStreamError
        self._clock.now_s += 0.02
        return self._frames.pop(0)


def _timing() -> dict[str, Any]:
    return {"clock": Hands(), "client": Transit(), "reported": lambda pts, rate_hz: None}


def _video(n: int, width_px: int = 64, height_px: int = 64) -> VideoFrame:
    frame = VideoFrame.from_ndarray(picture(128, width_px=width_px, height_px=height_px), format="yuv420p")
    frame.pts, frame.time_base = n * 4500, Fraction(1, 90_000)
    return frame


def _audio(n: int, level: float = 0.4) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.full((1, 1920), int(level * 32768), np.int16), format="s16", layout="stereo")
    frame.pts, frame.sample_rate, frame.time_base = n * 960, 48_000, Fraction(1, 48_000)
    return frame


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 512), (512, 512)), ((1280, 720), (912, 512)), ((720, 1280), (512, 912)), ((322, 242), (320, 240))],
)
def test_pictures_are_worked_on_at_512_with_their_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The short side is at most 512 and the sides are multiples of 4."""
    assert working_size(*size) == expected


def test_decoded_frames_become_contiguous_i420_and_mono() -> None:
    """A larger picture is scaled; two channels are averaged."""
    assert to_i420(_video(0, 1280, 720)).shape == (512 * 3 // 2, 912)
    stereo = np.zeros((1, 8), np.int16)
    stereo[0, ::2] = 16384
    frame = AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
    assert np.allclose(to_mono(frame), 0.25)


async def test_outgoing_pictures_grow_in_time_and_end_with_the_track() -> None:
    """pts strictly grows even when two pictures were captured at once; after stop, MediaStreamError."""
    async with lanes() as (face, voice):
        clock = Hands()
        leg = Leg(leg_parts(face, voice, clock), sample_rate_hz=48_000, frame_samples=960, fill=True)
        track = SwappedVideoTrack(leg.video, clock, leg.picture_sent)
        pts = []
        for _ in range(3):
            leg.video.push(lambda: picture(128), size_px=(64, 64), capture_s=clock.now_s)
            frame = await track.recv()
            pts.append(frame.pts or 0)
        assert not track.is_stale()
        leg.video.flush()
        assert track.is_stale()
        track.stop()
        with pytest.raises(MediaStreamError):
            await track.recv()
        await leg.close()

    assert pts == sorted(set(pts))


async def test_outgoing_sound_is_960_samples_contiguous() -> None:
    """Each frame is 20 ms of s16 mono at 48 kHz and starts where the former ended."""
    async with lanes() as (face, voice):
        timing = _timing()
        leg = Leg(leg_parts(face, voice, Hands()), sample_rate_hz=48_000, frame_samples=960, fill=True)
        track = ConvertedAudioTrack(leg.audio, leg.sound_sent)
        said = ScriptedTrack("audio", [_audio(n) for n in range(5)], timing["clock"])  # the first begins the track
        await pump_audio(said, leg.audio, **timing)
        await _until(lambda: leg.audio.hops == 2)  # or silence stands in for what a busy machine's lane still has
        frames = [await track.recv() for _ in range(4)]
        leg.audio.flush()
        assert track.is_stale()
        await leg.close()

    assert [frame.pts for frame in frames] == [0, 960, 1920, 2880]
    assert {(frame.samples, frame.sample_rate, frame.format.name) for frame in frames} == {(960, 48_000, "s16")}
    assert abs(int(frames[2].to_ndarray()[0, 5]) - 0.2 * 32767) < 20
    assert len(frames[2].layout.channels) == 1


async def test_the_lookahead_of_opus_is_counted_on_both_ways() -> None:
    """What is decoded is 6.5 ms older than its time stamp, and what is encoded will be once more."""
    async with lanes() as (face, voice):
        timing = _timing()
        leg = Leg(leg_parts(face, voice, timing["clock"]), sample_rate_hz=48_000, frame_samples=960, fill=True)
        leg.apply(replace(WISHES, passthrough_voice=True))
        track = ConvertedAudioTrack(leg.audio, leg.sound_sent)
        said = ScriptedTrack("audio", [_audio(0), _audio(1)], timing["clock"])
        await pump_audio(said, leg.audio, **timing)
        await track.recv()
        await leg.close()
    resampler_s = 16 / 48_000

    assert track.capture_s == pytest.approx(timing["clock"]() - 0.02 - 2 * OPUS_LOOKAHEAD_S - resampler_s, abs=1e-6)


async def test_a_microphone_reports_when_it_sent_and_not_when_it_heard() -> None:
    """Reports that name the end of each packet give the same capture time as its arrival does: 20 ms before."""
    async with lanes() as (face, voice):
        heads_s = []
        for reports in (False, True):
            timing = _timing()
            clock, client = timing["clock"], Transit()
            client.local_s(clock(), clock())  # a camera, whose reports name the capture, came without delay
            told = {"client": client, "reported": lambda pts, rate_hz, c=clock, r=reports: c() if r else None}
            leg = Leg(leg_parts(face, voice, clock), sample_rate_hz=48_000, frame_samples=960, fill=True)
            leg.apply(replace(WISHES, passthrough_voice=True))
            track = ConvertedAudioTrack(leg.audio, leg.sound_sent)
            await pump_audio(ScriptedTrack("audio", [_audio(n) for n in range(2)], clock), leg.audio, **timing | told)
            await track.recv()
            heads_s.append(track.capture_s)
            await leg.close()

    assert heads_s[1] == pytest.approx(heads_s[0], abs=1e-6)


async def test_a_pump_drains_its_track_and_ends_with_it() -> None:
    """All pictures are taken in; a frame that is no picture, or is larger than allowed, is passed over."""
    async with lanes() as (face, voice):
        leg = Leg(leg_parts(face, voice, Hands()), sample_rate_hz=48_000, frame_samples=960, fill=True)
        frames: list[VideoFrame | AudioFrame] = [_video(0), _audio(0), _video(1, 4096, 2160), _video(2)]
        await pump_video(ScriptedTrack("video", frames), leg.video, **_timing())
        assert leg.video.size_px == (64, 64)
        await _until(lambda: bool(leg.video._line))
        assert (await leg.video.next()).kind == "live"
        await leg.close()
