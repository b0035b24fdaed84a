"""Admission, sweeping, lanes that come back, and the end of everything."""

import asyncio
import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest

from mirage_rtc.errors import BadInput, NotFound, TooMany, Unavailable
from mirage_rtc.grants import Grants
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.registry import Registry
from mirage_rtc.rtc_leg import RtcLeg
from mirage_rtc.session_events import Closed, SessionEvent, StateChanged
from mirage_rtc.swap_pipeline import ForgetIdentity
from tests.call_client import caller
from tests.call_parts import FACE, SHADE_A, registry


async def test_capacity_is_a_coded_error(tmp_path: Path) -> None:
    """The call over the limit is told to try again; a found session is the same object."""
    async with registry(tmp_path, max_calls="1") as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        with pytest.raises(TooMany) as full:
            await calls.admit(subject="y", grants=Grants())
        assert calls.get(session.id) is session
        with pytest.raises(NotFound):
            calls.get("nobody")

    assert full.value.code == "at_capacity"
    assert full.value.retryable


async def test_a_session_nobody_comes_back_to_is_ended(tmp_path: Path) -> None:
    """After the grace it is gone and its subject's portraits are forgotten; an attached one stays."""
    async with registry(tmp_path, resume_grace_s="5") as (calls, _):
        left = await calls.admit(subject="x", grants=Grants())
        held = await calls.admit(subject="y", grants=Grants())
        held.attach(lambda _: None)
        left.left_s = calls._clock() - 6
        async with asyncio.timeout(60):
            while left.id in calls.sessions:  # noqa: ASYNC110 - the sweep sets no event
                await asyncio.sleep(0.05)

        assert held.id in calls.sessions


async def test_a_call_that_ended_is_freed_soon(tmp_path: Path) -> None:
    """Its connection holds itself, and the collector would come some tens of calls later."""
    async with registry(tmp_path) as (calls, _):
        gc.collect()
        gc.disable()
        try:
            leg = await _leg_of_an_ended_call(calls)
            async with asyncio.timeout(60):
                while leg() is not None:  # noqa: ASYNC110 - what is freed sets no event
                    await asyncio.sleep(0.05)
        finally:
            gc.enable()


async def _leg_of_an_ended_call(calls: Registry) -> "weakref.ref[RtcLeg]":
    session = await calls.admit(subject="x", grants=Grants())
    async with caller() as peer:
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 2)
        assert session._rtc is not None
        leg = weakref.ref(session._rtc)
        await calls._end(session, "bye", "Good-bye.")
    return leg


async def test_a_call_ends_at_the_time_its_link_allows(tmp_path: Path) -> None:
    """`max_call_s` of the grants ends it with a code."""
    events: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants(max_call_s=1))
        session.attach(events.append)
        async with asyncio.timeout(60):
            while session.id in calls.sessions:  # noqa: ASYNC110 - the sweep sets no event
                await asyncio.sleep(0.05)

    assert [event.code for event in events if isinstance(event, Closed)] == ["time_over"]


async def test_a_lost_lane_is_reported_and_calls_go_on(tmp_path: Path) -> None:
    """While the face lane restarts the engines are not ready; then the same call is swapped again, never raw."""
    states: list[str] = []

    def listen(event: SessionEvent) -> None:
        if isinstance(event, StateChanged):
            states.append(event.state.face_engine_state)

    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        session.attach(listen)
        await peer.call(session)
        await peer.until(lambda: session.state().picture == "live")
        worker = calls._face_lanes[0]._worker
        assert worker is not None
        worker.kill()
        await peer.until(lambda: "restarting" in states)
        await peer.until(lambda: calls.engines().ready and session.state().picture == "live")
        seen = len(peer.shades)
        await peer.until(lambda: len(peer.shades) > seen + 5 and abs(peer.shade - SHADE_A) < 12)

    assert {"restarting", "ready"} <= set(states)
    assert not any(abs(shade - 128) < 12 for shade in peer.shades)


async def test_portraits_and_clips_are_judged_by_the_engines(tmp_path: Path) -> None:
    """What an engine refuses is a coded error; what it takes is not."""
    async with registry(tmp_path) as (calls, _):
        await calls.inspect_portraits((np.full((8, 8, 3), 9, np.uint8),))
        with pytest.raises(BadInput) as faceless:
            await calls.inspect_portraits((np.zeros((8, 8, 3), np.uint8),))
        profile = await calls.measure_voice(np.ones(16_000, np.float32), 16_000)
        with pytest.raises(BadInput) as silent:
            await calls.measure_voice(np.zeros(16_000, np.float32), 16_000)
        await calls.forget_identity("portrait:x")

    assert faceless.value.code == "portrait_no_face"
    assert profile.values == {"samples": 16_000}
    assert silent.value.code == "clip_unusable"


async def test_a_call_that_cannot_lose_an_identity_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the lanes, which hold what was made of it."""
    lost: list[str] = []
    forgotten: list[ForgetIdentity] = []

    def fail(name: str) -> None:
        raise RuntimeError(name)

    async def note(job: ForgetIdentity) -> None:
        forgotten.append(job)

    async with registry(tmp_path) as (calls, _):
        first = await calls.admit(subject="x", grants=Grants())
        second = await calls.admit(subject="x", grants=Grants())
        monkeypatch.setattr(first, "lose_identity", fail)
        monkeypatch.setattr(second, "lose_identity", lost.append)
        for lane in calls._face_lanes:
            monkeypatch.setattr(lane, "run", note)
        await calls.forget_identity("portrait:x")
        monkeypatch.undo()

    assert lost == ["portrait:x"]
    assert forgotten == [ForgetIdentity(name="portrait:x")] * len(calls._face_lanes)


async def test_portraits_are_judged_by_what_the_lane_names_for_it(tmp_path: Path) -> None:
    """Not by a second engine like its own; the judge is told which engine is in force."""
    judged = replace(FACE, study_engine="tests.scripted_engines:JudgingFaceEngine")
    async with registry(tmp_path, face=judged) as (calls, _):
        with pytest.raises(BadInput, match="for painted"):
            await calls.inspect_portraits((np.full((8, 8, 3), 9, np.uint8),))


async def test_which_engine_runs_and_why_is_told(tmp_path: Path) -> None:
    """In the report, and as a metric that is 1 for the engine of each lane."""
    chosen = LaneSpec(
        engine="tests.lane_jobs:NamedEngine",
        pipeline="tests.lane_jobs:ObeyingPipeline",
        arguments={"name": "mesh", "why": "no weights"},
    )
    async with registry(tmp_path, face=chosen) as (calls, _):
        report = calls.engines()
        told = generate_latest(calls._metrics.registry).decode()

    assert (report.face_name, report.face_why) == ("mesh", "no weights")
    assert 'mirage_engine{engine="mesh",lane="face-0"} 1.0' in told


async def test_an_engine_that_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    """The server says what to run, and leaves no process behind."""
    broken = LaneSpec(engine="tests.lane_jobs:BrokenEngine", pipeline="tests.lane_jobs:ObeyingPipeline")
    with pytest.raises(Unavailable, match="doctor") as failed:
        async with registry(tmp_path, face=broken):
            pass

    assert failed.value.code == "engine_failed"


async def test_closing_tells_every_listener_and_refuses_new_calls(tmp_path: Path) -> None:
    """Draining is a code of its own."""
    events: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _):
        (await calls.admit(subject="x", grants=Grants())).attach(events.append)
        await calls.close()
        with pytest.raises(Unavailable) as draining:
            await calls.admit(subject="y", grants=Grants())

    assert isinstance(events[-1], Closed)
    assert events[-1].code == "server_closing"
    assert draining.value.code == "draining"
