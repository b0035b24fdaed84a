"""Fail closed, watched from the far end: through every fault no raw face and no raw voice comes back.

Every call here is a real one: aiortc peer, real codecs, the embedded engines in their lanes, `leak_detector` on every
frame and every sample from the first one on.
"""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.gate import FREEZE_S
from models import mask_art
from models.engines import Frame, VoiceSettings
from tests import media
from tests.leak_detector import FaceWatch, VoiceWatch
from tests.live_calls import LiveCall, face_lane, live_call, voice_lane
from tests.media import ASSETS, Clip
from tests.peers import RATE_HZ

LAG_S = (-0.1, 0.6)
"""How late raw sound could leave: the voice path holds at most 200 ms, the peer and the codecs some 100."""
CONVINCING = 10.0
"""Evidence that a hop is raw. The voice goes through a call in hops of 40 ms, and a raw hop among converted ones gives
14 after Opus, in each of 48 tries; over a whole call and 0.7 s of lags converted speech gave up to 8.7. That single
packets of 20 ms are heard, with less between them and innocence, is shown by `test_leak_detector`."""
RECOGNISED = 0.45
"""An ArcFace cosine from which on a returned face may be taken for the sender's."""


def _assert_nothing_leaked(call: LiveCall, clip: Clip) -> None:
    frames = [seen.frame for seen in call.peer.seen]
    assert FaceWatch(clip).leaks(frames) == []
    heard = VoiceWatch(call.peer.microphone.sent(), RATE_HZ).leaks(call.peer.heard(), RATE_HZ, LAG_S)
    assert [leak for leak in heard if leak.evidence >= CONVINCING] == []
    assert _recognised(clip, frames[::3]) == []


def _recognised(clip: Clip, frames: list[Frame]) -> list[float]:
    """Cosines to the sender from `RECOGNISED` on; none is looked for where the judge's weights are absent."""
    if not (ASSETS / "models" / "w600k_mbf_deq_fp32.onnx").exists():
        return []
    from tests.arcface import FaceJudge, cosine

    judge = FaceJudge(ASSETS / "models")
    sender = judge.embed_largest(clip.frames[5])
    assert sender is not None
    returned = [judge.embed_largest(frame) for frame in frames]
    alike = [cosine(sender, face) for face in returned if face is not None]
    return [likeness for likeness in alike if likeness >= RECOGNISED]


async def test_nothing_leaks_through_changes_of_face_and_voice(tmp_path: Path) -> None:
    """From the first frame on, with every mask and every voice worn in turn."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane()) as call:
        for mask, preset in zip(mask_art.MASKS, ("lower", "higher", "whisper", "robot", "disguise"), strict=False):
            await call.until_swapped(20)
            await call.session.wear(f"mask:{mask.name}")
            await call.session.set_voice(VoiceSettings(preset=preset))
        await call.until_swapped(20)

    _assert_nothing_leaked(call, clip)


async def test_passthrough_shows_the_raw_picture_only_while_it_is_on(tmp_path: Path) -> None:
    """Asked for, the raw face and voice come; from the switch back on they are gone, but for what was on its way."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane()) as call:
        await call.peer.until_seen(30)
        asked = len(call.peer.seen)
        call.session.set_passthrough(face=True, voice=True)
        await call.until_left("passthrough", 30)
        await _until_heard_raw(call, len(call.peer.heard()), 1)
        await call.peer.until_seen(call.left())
        withdrawn, withdrawn_at = call.left(), len(call.peer.heard()) / RATE_HZ + call.sound_on_its_way_s()
        call.session.set_passthrough(face=False, voice=False)
        await call.peer.until_seen(withdrawn + 50)

    raw = [leak.index for leak in FaceWatch(clip).leaks([seen.frame for seen in call.peer.seen])]
    assert len(raw) >= 20
    assert raw[0] >= asked
    assert raw[-1] < withdrawn

    heard = VoiceWatch(call.peer.microphone.sent(), RATE_HZ).leaks(call.peer.heard(), RATE_HZ, LAG_S)
    assert heard
    assert max(leak.at_s for leak in heard) < withdrawn_at + 0.5


async def _until_heard_raw(call: LiveCall, first: int, least: int) -> None:
    """Wait until the watch hears the raw voice so often from a sample on: a busy machine leaves gaps in it."""
    async with asyncio.timeout(240):
        while True:
            watch, heard = VoiceWatch(call.peer.microphone.sent(), RATE_HZ), call.peer.heard()
            leaks = await asyncio.to_thread(
                watch.leaks, np.concatenate([0 * heard[:first], heard[first:]]), RATE_HZ, LAG_S
            )
            if sum(leak.evidence >= CONVINCING for leak in leaks) >= least:
                break
            await asyncio.sleep(1.0)


async def test_nothing_leaks_while_the_face_is_covered(tmp_path: Path) -> None:
    """A face behind something for 2 s is neither shown raw nor swapped into something recognisable."""
    clip, voice = media.covered_face("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane()) as call:
        await call.peer.until_seen(140)

    _assert_nothing_leaked(call, media.talking_head("man_a"))
    assert FaceWatch(clip).leaks([seen.frame for seen in call.peer.seen]) == []


@pytest.mark.parametrize("max_faces", ["1", "2"])
async def test_nothing_leaks_when_a_second_person_walks_in(tmp_path: Path, max_faces: str) -> None:
    """Neither the caller nor the newcomer, whether the newcomer is to be blurred or swapped as well."""
    clip, voice = media.second_person_walks_in(), media.speech("woman")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane(), max_faces=max_faces) as call:
        await call.peer.until_seen(90)

    _assert_nothing_leaked(call, clip)


@pytest.mark.parametrize("fault", [{"raise_every": 7, "exit_at": 45}, {"hang_at": 45}], ids=["raises, exits", "hangs"])
async def test_nothing_leaks_through_an_engine_that_fails(tmp_path: Path, fault: dict[str, int]) -> None:
    """Engines that raise on every 7th job, end their process, or hang for 5 s: covered, silent, and back again."""
    clip, voice = media.talking_head("man_b"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(**fault), sound=voice_lane(**fault)) as call:
        await call.until_swapped(55)  # more than one worker's

    _assert_nothing_leaked(call, clip)


async def test_a_leak_of_the_engine_itself_is_seen_through_a_whole_call(tmp_path: Path) -> None:
    """The watch is awake: an engine that returns every 10th frame and every 12th hop raw is found out."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(leak_every=10), sound=voice_lane(leak_every=12)) as call:
        await call.until_left("live", 100)
        await _until_heard_raw(call, 0, 3)
        await call.peer.until_seen(call.left())
        repeated = call.session.stats().frozen

    raw = [leak.index for leak in FaceWatch(clip).leaks([seen.frame for seen in call.peer.seen])]
    assert len(raw) >= 5
    assert sum(after - before == 1 for before, after in zip(raw, raw[1:], strict=False)) <= repeated
    heard = VoiceWatch(call.peer.microphone.sent(), RATE_HZ).leaks(call.peer.heard(), RATE_HZ, LAG_S)
    assert sum(leak.evidence >= CONVINCING for leak in heard) >= 3


def test_the_frozen_picture_is_older_than_any_frame_that_could_leak() -> None:
    """The freeze is bounded by what the specification allows."""
    assert FREEZE_S <= 0.5
