"""The picture's way through a call, over a real lane."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from mirage_rtc.clock import monotonic_s
from mirage_rtc.gate import SafePicture
from mirage_rtc.inference import Late
from mirage_rtc.leg import HOLD_EARLY_S, Leg
from mirage_rtc.lip_sync import OPUS_LOOKAHEAD_S
from mirage_rtc.swap_pipeline import SwappedFrame
from mirage_rtc.video_path import VideoPath
from tests.call_parts import MASK_B, SHADE_A, SHADE_B, WISHES, Hands, lanes, leg_parts, luma, picture


@asynccontextmanager
async def _leg() -> AsyncIterator[tuple[Leg, Hands]]:
    clock = Hands()
    async with lanes() as (face, voice):
        leg = Leg(leg_parts(face, voice, clock), sample_rate_hz=48_000, frame_samples=960, fill=True)
        try:
            yield leg, clock
        finally:
            await leg.close()


def _push(path: VideoPath, value: int, capture_s: float) -> None:
    path.push(lambda: picture(value), size_px=(64, 64), capture_s=capture_s)


async def _through(path: VideoPath, value: int, capture_s: float) -> SafePicture:
    _push(path, value, capture_s)
    await _lined_up(path)
    return await path.next()


async def _lined_up(path: VideoPath) -> None:
    """Wait for what was pushed: `next` waits no longer than `IDLE_S`, and a busy machine's lane may."""
    async with asyncio.timeout(60):
        while not path._line:  # noqa: ASYNC110 - this event is `next`'s
            await asyncio.sleep(0.001)


async def test_a_picture_comes_out_swapped_with_its_capture_time() -> None:
    """What is sent wears the identity and remembers when it was captured."""
    async with _leg() as (leg, clock):
        safe = await _through(leg.video, 128, clock.now_s - 0.02)

    assert safe.kind == "live"
    assert abs(luma(safe.i420) - SHADE_A) < 3
    assert safe.capture_s == clock.now_s - 0.02


async def test_no_face_and_a_failing_engine_are_covered() -> None:
    """A black frame (no face) and an unlucky one (the engine raises) freeze, and are cards after half a second."""
    async with _leg() as (leg, clock):
        kinds = []
        for value, step_s in ((128, 0.0), (0, 0.1), (28, 0.1), (0, 0.5), (28, 0.1), (128, 0.1)):
            clock.now_s += step_s
            kinds.append((await _through(leg.video, value, clock.now_s)).kind)

    assert kinds == ["live", "frozen", "frozen", "card", "card", "live"]


async def test_a_new_identity_leaves_nothing_of_the_former_one() -> None:
    """After `wear` the next live picture is the new identity, and no frozen one shows the old."""
    async with _leg() as (leg, clock):
        await _through(leg.video, 128, clock.now_s)
        leg.apply(replace(WISHES, identity=MASK_B))
        covered = await _through(leg.video, 0, clock.now_s)
        live = await _through(leg.video, 128, clock.now_s)

    assert covered.kind == "card"
    assert abs(luma(live.i420) - SHADE_B) < 3


async def test_passthrough_sends_the_raw_picture_and_stops_at_once() -> None:
    """On: raw. Off: what was pushed before is not sent raw."""
    async with _leg() as (leg, clock):
        leg.apply(replace(WISHES, passthrough_face=True))
        raw = await _through(leg.video, 77, clock.now_s)
        _push(leg.video, 77, clock.now_s)
        leg.apply(WISHES)
        after = await _through(leg.video, 128, clock.now_s)

    assert raw.kind == "passthrough"
    assert luma(raw.i420) == 77
    assert after.kind == "live"


async def test_a_muted_camera_is_a_card() -> None:
    """Muting covers the picture without asking the engine."""
    async with _leg() as (leg, clock):
        leg.apply(replace(WISHES, muted_video=True))
        assert (await _through(leg.video, 128, clock.now_s)).kind == "card"


async def test_without_pictures_the_far_end_gets_covered_ones() -> None:
    """When the camera stops, `next` still answers: frozen first, the card later."""
    async with _leg() as (leg, clock):
        await _through(leg.video, 128, clock.now_s)
        frozen = await leg.video.next()
        clock.now_s += 1.0
        covered = await leg.video.next()

    assert (frozen.kind, covered.kind) == ("frozen", "card")


async def test_a_burst_keeps_only_the_newest() -> None:
    """Of ten pictures pushed at once all but the newest (and the one being swapped) are dropped."""
    async with _leg() as (leg, clock):
        for n in range(10):
            _push(leg.video, 128, clock.now_s + n / 1000)
        last = await leg.video.next()
        async with asyncio.timeout(60):
            while last.kind != "live" or last.capture_s < clock.now_s + 0.009:
                last = await leg.video.next()

    assert leg.video.dropped >= 7


async def test_a_picture_too_late_for_the_voice_is_dropped_before_encoding() -> None:
    """The spec's rule: more than 150 ms behind the audio head does not go out."""
    async with _leg() as (leg, clock):
        await _through(leg.video, 128, clock.now_s)
        leg.sync.audio_sent(clock.now_s)
        _push(leg.video, 128, clock.now_s - 0.2)
        await _lined_up(leg.video)
        after = await leg.video.next()

    assert after.kind == "frozen"
    assert leg.sync.late == 1


async def test_raw_pictures_are_not_changed_in_place() -> None:
    """The engine's work on a frame does not reach the caller's array."""
    raw = picture(128)
    async with _leg() as (leg, clock):
        leg.video.push(lambda: raw, size_px=(64, 64), capture_s=clock.now_s)
        await leg.video.next()

    assert np.array_equal(raw, picture(128))


async def test_a_shut_leg_lets_only_the_card_through() -> None:
    """A leg that was replaced sends nothing of the person, however long its transport takes to end."""
    async with _leg() as (leg, clock):
        await _through(leg.video, 128, clock.now_s)
        leg.shut()
        _push(leg.video, 128, clock.now_s)
        kinds = {(await leg.video.next()).kind for _ in range(3)}

    assert kinds == {"card"}


async def test_a_picture_waits_for_its_voice() -> None:
    """When the voice leaves 113.5 ms after its capture, and Opus takes 6.5, a picture leaves after 110, not before."""
    async with lanes() as (face, voice):
        leg = Leg(
            replace(leg_parts(face, voice, Hands()), clock=monotonic_s),
            sample_rate_hz=48_000,
            frame_samples=960,
            fill=True,
        )
        leg.audio._playout.cushion.note(0.1135)
        _push(leg.video, 128, captured_s := monotonic_s())
        await _lined_up(leg.video)
        safe = await leg.video.next()
        waited_s = monotonic_s() - captured_s
        await leg.close()

    assert safe.kind == "live"
    assert waited_s >= 0.1089


async def test_a_picture_waits_for_no_voice_that_passes_through() -> None:
    """A raw voice leaves 30 ms after its capture, which nobody notices: pictures leave at once."""
    async with lanes() as (face, voice):
        leg = Leg(leg_parts(face, voice, Hands()), sample_rate_hz=48_000, frame_samples=960, fill=True)
        leg.apply(replace(WISHES, passthrough_voice=True))
        leg.audio._playout.cushion.note(0.030)
        raw_s = leg._hold_s()
        leg.audio._playout.cushion.note(0.085)
        jittery_s = leg._hold_s()
        await leg.close()

    assert raw_s == 0.0
    assert 0.04 < jittery_s < 0.05


async def test_a_picture_that_waits_for_its_voice_over_a_flush_does_not_leave() -> None:
    """It was let through before the switch; after it nothing of before goes."""
    async with _leg() as (leg, clock):
        aligned = leg.video._aligned

        async def switch(safe: SafePicture) -> SafePicture:
            leg.video.flush()
            return await aligned(safe)

        setattr(leg.video, "_aligned", switch)  # noqa: B010 - mypy refuses an assignment
        safe = await _through(leg.video, 128, clock.now_s)
        assert safe.generation == leg.video.gate.generation

    assert safe.kind != "live"


async def test_a_picture_that_the_lane_had_no_time_for_is_as_one_that_never_came() -> None:
    """Nothing is sent for it, no engine is blamed; the far end sees what it sees when pictures are missing."""
    async with _leg() as (leg, clock):
        await _through(leg.video, 128, clock.now_s)
        swap = leg.video.seat.swap

        async def drop(*_: object, **__: object) -> SwappedFrame:
            raise Late

        setattr(leg.video.seat, "swap", drop)  # noqa: B010 - mypy refuses an assignment
        _push(leg.video, 128, clock.now_s)
        async with asyncio.timeout(60):
            while leg.video.dropped == 0:  # noqa: ASYNC110 - a drop sets no event
                await asyncio.sleep(0.001)
        assert not leg.video._line
        frozen = await leg.video.next()
        setattr(leg.video.seat, "swap", swap)  # noqa: B010 - as above
        live = await _through(leg.video, 128, clock.now_s)
        told = generate_latest(leg.video._metrics.registry).decode()

    assert (frozen.kind, live.kind) == ("frozen", "live")
    assert leg.video.dropped == 1
    assert 'mirage_video_dropped_total{reason="expired"} 1.0' in told
    assert "mirage_engine_errors_total{" not in told
    assert "mirage_face_batch_frames_count 2.0" in told


async def test_how_long_a_picture_may_wait_for_the_lane() -> None:
    """Two pictures' time; longer while its voice is not due; never longer than the sync rule would let it through."""
    async with _leg() as (leg, clock):
        for _ in range(90):
            clock.now_s += 1 / 30
            leg.video.arrivals.add()
        seconds = clock.now_s
        at_30_hz = leg.video._patience_s(seconds - 0.03)
        leg.audio._playout.cushion.note(0.13)
        until_voice = leg.video._patience_s(seconds - 0.03)
        assert leg.sync.passes(seconds, seconds)
        leg.sync.audio_sent(seconds - 0.02)
        until_dropped = leg.video._patience_s(seconds - 0.12)
        long_gone = leg.video._patience_s(seconds - 0.3)

    assert at_30_hz == pytest.approx(2 / 30, rel=0.02)
    assert until_voice == pytest.approx(0.13 + OPUS_LOOKAHEAD_S - HOLD_EARLY_S - 0.03, abs=0.002)
    assert until_dropped == pytest.approx(0.05)
    assert long_gone < 0


async def test_a_picture_s_stages_waits_and_detections_are_counted() -> None:
    """By the clock: its wait for its turn and for the lane is one; detections are counted in frames of this call."""
    async with _leg() as (leg, clock):
        swap = leg.video.seat.swap
        looked = iter((True, False, False, True))

        async def timed(*arguments: Any, **options: Any) -> SwappedFrame:
            walls = {"track": 1.0} | ({"detect": 4.0} if next(looked) else {})
            return replace(await swap(*arguments, **options), wall_ms=walls, waited_ms=3.0)

        def make() -> np.ndarray:
            clock.now_s += 0.02  # it waited as long as this took
            return picture(128)

        setattr(leg.video.seat, "swap", timed)  # noqa: B010 - mypy refuses an assignment
        for _ in range(4):
            leg.video.push(make, size_px=(64, 64), capture_s=clock.now_s)
            await leg.video.next()
        told = generate_latest(leg.video._metrics.registry).decode()

    assert 'mirage_video_stage_ms_sum{stage="track"} 4.0' in told
    assert 'mirage_video_stage_ms_count{stage="detect"} 2.0' in told
    waited_ms = float(re.findall(r'mirage_video_stage_ms_sum{stage="queue"} ([0-9.]+)', told)[0])
    assert waited_ms == pytest.approx(4 * 23, abs=1)
    assert "mirage_detector_interval_frames_sum 4.0" in told
    assert 'mirage_detector_interval_frames_bucket{le="2.0"} 1.0' in told
