"""The neural engine fails closed, watched from the far end of real calls, with faults of its own parts.

Small networks stand in for the operator's weights (`neural_parts`); the lane, the gate, the peer and the codecs are the
product's own. The narrow swapper answers no face, so that whatever face comes back is the sender's.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.session_events import StateChanged
from models.engines import EnhancerMode, EnhancerWish, Frame
from tests import media
from tests.arcface import FaceJudge, cosine
from tests.asset_frames import MODELS, with_golden
from tests.leak_detector import FaceWatch
from tests.live_calls import LiveCall, live_call, voice_lane
from tests.media import Clip

SMALL = "tests.neural_parts:SmallNeuralEngine"
RECOGNISED = 0.45
pytestmark = with_golden


def neural_lane(**arguments: Any) -> LaneSpec:
    """The small neural engine in a lane."""
    return LaneSpec(engine=SMALL, pipeline="mirage_rtc.swap_pipeline:SwapPipeline", arguments=arguments)


def faulty_lane(**faults: int) -> LaneSpec:
    """The same with a fault around it."""
    return LaneSpec(
        engine="tests.fakes:FaultyFaceEngine",
        pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
        arguments={"inner": SMALL} | faults,
    )


def enhanced_lane(**fault: Any) -> LaneSpec:
    """The small neural engine with an enhancer that has a fault."""
    return LaneSpec(
        engine="tests.enhancer_parts:EnhancedNeuralEngine",
        pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
        arguments=fault,
    )


def assert_nothing_leaked(call: LiveCall, *clips: Clip) -> None:
    """No received frame shows a raw face, by its skin or to ArcFace."""
    received = [seen.frame for seen in call.peer.seen]
    assert FaceWatch(*clips).leaks(received) == []
    assert recognised(clips[0], received[::3]) == []


def recognised(clip: Clip, received: list[Frame]) -> list[float]:
    """Cosines to the sender from `RECOGNISED` on."""
    judge = FaceJudge(MODELS)
    sender = judge.embed_largest(clip.frames[5])
    assert sender is not None
    returned = [judge.embed_largest(frame) for frame in received]
    return [alike for face in returned if face is not None and (alike := cosine(sender, face)) >= RECOGNISED]


async def test_a_call_is_swapped_and_identities_change_without_a_raw_frame(tmp_path: Path) -> None:
    """From the first frame on, through three changes of identity."""
    clip = media.talking_head("man_a")
    async with live_call(tmp_path, clip, media.speech("man"), face=neural_lane(), sound=voice_lane()) as call:
        for name in ("porcelain", "carved", "facets"):
            await call.until_swapped(15)
            await call.session.wear(f"mask:{name}")
        await call.until_swapped(15)
    assert_nothing_leaked(call, clip)


@pytest.mark.parametrize(
    ("fault", "then"),
    [
        (
            {"part": "swapper", "fault": "raises", "first": 30, "last": 36},
            [("not finite", 45, 51), ("echoes", 60, 80)],
        ),
        (
            {"part": "detector", "fault": "not finite", "first": 6, "last": 9},
            [("sees nothing", 15, 60)],
        ),
    ],
    ids=["swapper", "detector"],
)
async def test_nothing_leaks_when_a_network_fails(
    tmp_path: Path, fault: dict[str, Any], then: list[tuple[str, int, int]]
) -> None:
    """In one way after the other: covered while it lasts, swapped again after it."""
    clip = media.talking_head("man_a")
    lane = neural_lane(**fault, then=then)
    async with live_call(tmp_path, clip, media.speech("man"), face=lane, sound=voice_lane()) as call:
        await call.until_swapped(80)  # more than there are without the runs behind the last fault
    assert_nothing_leaked(call, clip)


async def until_enhanced(call: LiveCall, running: str) -> None:
    """Wait until the state says that this enhancer works, or none."""
    async with asyncio.timeout(180):
        while call.session.state().enhancer.running != running:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.05)


async def test_an_enhancer_is_changed_in_a_call_without_a_raw_frame(tmp_path: Path) -> None:
    """On, off and on again, between two frames of the same media; the state says which works."""
    clip = media.talking_head("man_a")
    async with live_call(tmp_path, clip, media.speech("man"), face=enhanced_lane(), sound=voice_lane()) as call:
        steps: list[tuple[EnhancerMode, str]] = [("every", "codeformer"), ("off", ""), ("auto", "codeformer")]
        for mode, running in steps:
            call.session.set_enhancer(EnhancerWish(mode=mode, fidelity=0.0))
            await until_enhanced(call, running)
            await call.until_swapped(10)
        assert call.session.state().enhancer.offers == ("codeformer",)
    assert_nothing_leaked(call, clip)


@pytest.mark.parametrize("fault", ["raw", "hangs"])
async def test_nothing_leaks_when_the_enhancer_fails(tmp_path: Path, fault: str) -> None:
    """It gives the raw face back, or nothing ever: swaps are shown without it, the lane stays, it is given up."""
    clip = media.talking_head("man_a")
    lane = enhanced_lane(fault=fault, first=5, last=10_000)
    async with live_call(tmp_path, clip, media.speech("man"), face=lane, sound=voice_lane()) as call:
        call.session.set_enhancer(EnhancerWish(mode="every", fidelity=0.0))
        await until_enhanced(call, "codeformer")
        await until_enhanced(call, "")
        await call.until_swapped(20)
    states = [event.state.face_engine_state for event in call.events if isinstance(event, StateChanged)]
    assert set(states) == {"ready"}
    assert_nothing_leaked(call, clip)


async def test_a_lost_gpu_costs_the_worker_and_not_the_call(tmp_path: Path) -> None:
    """Networks that fail ten times in a row end their process; the call goes on, is covered, and is swapped again."""
    clip = media.talking_head("man_a")
    lost = neural_lane(part="swapper", fault="raises", first=40, last=10_000)
    async with live_call(tmp_path, clip, media.speech("man"), face=lost, sound=voice_lane()) as call:
        await call.until_swapped(60)  # more than one worker's life
    states = [event.state.face_engine_state for event in call.events if isinstance(event, StateChanged)]
    assert "restarting" in states
    assert_nothing_leaked(call, clip)


@pytest.mark.parametrize("fault", [{"raise_every": 7, "exit_at": 30}, {"hang_at": 30}], ids=["raises, exits", "hangs"])
async def test_nothing_leaks_when_the_engine_fails(tmp_path: Path, fault: dict[str, int]) -> None:
    """As with the embedded engine."""
    clip = media.talking_head("man_b")
    async with live_call(tmp_path, clip, media.speech("man"), face=faulty_lane(**fault), sound=voice_lane()) as call:
        await call.until_swapped(40)  # more than one worker's
    assert_nothing_leaked(call, clip)


async def test_nothing_leaks_while_the_face_is_covered(tmp_path: Path) -> None:
    """Two seconds behind something, and back."""
    clip = media.covered_face("man_a")
    async with live_call(tmp_path, clip, media.speech("man"), face=neural_lane(), sound=voice_lane()) as call:
        await call.peer.until_seen(130)
    assert_nothing_leaked(call, media.talking_head("man_a"), clip)


@pytest.mark.parametrize("max_faces", ["1", "2"])
async def test_nothing_leaks_when_a_second_person_walks_in(tmp_path: Path, max_faces: str) -> None:
    """Blurred or swapped, whoever it is."""
    clip = media.second_person_walks_in()
    async with live_call(
        tmp_path, clip, media.speech("woman"), face=neural_lane(), sound=voice_lane(), max_faces=max_faces
    ) as call:
        await call.peer.until_seen(80)
    assert_nothing_leaked(call, clip)


async def test_passthrough_shows_the_raw_picture_only_while_it_is_on(tmp_path: Path) -> None:
    """And the watch is awake: what was asked for is seen, what comes after is not."""
    clip = media.talking_head("man_a")
    async with live_call(tmp_path, clip, media.speech("man"), face=neural_lane(), sound=voice_lane()) as call:
        await call.until_swapped(15)
        asked = len(call.peer.seen)
        call.session.set_passthrough(face=True, voice=False)
        await call.until_left("passthrough", 30)
        await call.peer.until_seen(call.left())
        withdrawn = call.left()
        call.session.set_passthrough(face=False, voice=False)
        await call.until_swapped(20)
        await call.peer.until_seen(withdrawn + 30)
    raw = [leak.index for leak in FaceWatch(clip).leaks([seen.frame for seen in call.peer.seen])]
    assert len(raw) >= 15
    assert asked <= raw[0]
    assert raw[-1] < withdrawn


async def test_a_leak_of_the_engine_itself_is_seen(tmp_path: Path) -> None:
    """Every tenth frame raw: found out, so that silence above means something."""
    clip = media.talking_head("man_a")
    async with live_call(
        tmp_path, clip, media.speech("man"), face=faulty_lane(leak_every=10), sound=voice_lane()
    ) as call:
        await call.until_left("live", 60)
        await call.peer.until_seen(call.left())
    assert len(FaceWatch(clip).leaks([seen.frame for seen in call.peer.seen])) >= 3
