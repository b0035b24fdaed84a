"""A mapping fails closed, watched from the far end of real calls: who is not surely known is never seen.

Small networks stand in for the operator's weights (`neural_parts`), the person is enrolled as the product enrols; the
lane, the gate, the peer and the codecs are its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2

from mirage_rtc.consent import ConsentForm
from mirage_rtc.face_mapping import CallMapping, MappedPerson
from models.engines import Frame, Others
from tests import media
from tests.asset_frames import with_golden
from tests.leak_detector import FaceWatch
from tests.live_calls import LiveCall, live_call, voice_lane
from tests.media import Clip
from tests.test_neural_leaks import assert_nothing_leaked, neural_lane, until_swapped

FORM = ConsentForm(attested_by="A", subject_name="A", relation="self", purpose="a test", attests=True)
pytestmark = with_golden


@asynccontextmanager
async def mapped_call(
    data_dir: Path, clip: Clip, portrait: Frame, *, others: Others = "blur", **fault: Any
) -> AsyncIterator[LiveCall]:
    """A call in which who is in `portrait` wears a mask, from a moment on in which nobody was shown yet."""
    lane = neural_lane(**fault)
    async with live_call(data_dir, clip, media.speech("man"), face=lane, sound=voice_lane(), max_faces="2") as call:
        ok, png = cv2.imencode(".png", portrait)
        assert ok
        session = call.session
        card = await session._around.vault.enroll(session.subject, [png.tobytes()], FORM)
        if others == "passthrough":
            session.set_passthrough(face=True, voice=False)
        person = MappedPerson(reference=card.id, wears="mask:carved")
        await session.set_mapping(CallMapping(entries=(person,), others=others))
        yield call


async def test_who_walks_in_and_is_not_mapped_is_never_seen(tmp_path: Path) -> None:
    """The enrolled person is swapped all the while."""
    clip = media.second_person_walks_in()
    portrait = clip.frames[0][:, : clip.frames[0].shape[1] // 2]
    async with mapped_call(tmp_path, clip, portrait) as call:
        await until_swapped(call, 40)
    assert_nothing_leaked(call, clip)


async def test_who_takes_the_place_of_somebody_mapped_is_never_seen(tmp_path: Path) -> None:
    """From one frame to the next, again and again; the first one is swapped each time."""
    clip = media.somebody_else_takes_the_place()
    async with mapped_call(tmp_path, clip, clip.frames[5]) as call:
        await until_swapped(call, 20)
    assert_nothing_leaked(call, clip)
    assert_nothing_leaked(call, media.talking_head("man_b"))


async def test_nobody_is_seen_while_the_identity_network_fails(tmp_path: Path) -> None:
    """Covered while it lasts, swapped again after it. One run is the portrait's, the next sees the person."""
    clip = media.talking_head("man_a")
    fault: dict[str, Any] = {"part": "encoder", "fault": "not finite", "first": 3, "last": 9}
    async with mapped_call(tmp_path, clip, clip.frames[5], **fault) as call:
        await until_swapped(call, 50)
        failed = call.session._around.metrics.engine_errors.labels("face", "raised")._value.get()
    assert failed >= 7
    assert_nothing_leaked(call, clip)


async def test_of_two_people_only_who_is_left_alone_is_seen_and_only_under_passthrough(tmp_path: Path) -> None:
    """The watch is awake: it sees the one who is left alone, never the one who is mapped, and nobody afterwards."""
    clip = media.second_person_walks_in()
    half = clip.frames[0].shape[1] // 2
    mapped = [tuple(box for box in boxes if box[2] < half) for boxes in clip.faces]
    alone = [tuple(box for box in boxes if box[0] > half) for boxes in clip.faces]
    async with mapped_call(tmp_path, clip, clip.frames[0][:, :half], others="passthrough") as call:
        asked = len(call.peer.seen)
        await call.peer.until_seen(asked + 100)
        withdrawn = len(call.peer.seen)
        call.session.set_passthrough(face=False, voice=False)
        await until_swapped(call, 20)
    received = [seen.frame for seen in call.peer.seen]
    ours, theirs = (
        FaceWatch(Clip(name=clip.name, frames=clip.frames, faces=tuple(faces))) for faces in (mapped, alone)
    )
    shown = [leak.index for leak in theirs.leaks(received)]
    assert len(shown) >= 5
    assert shown[-1] < withdrawn + 5
    first = shown[0]  # before the mapping was set, and its picture came, all was passed through as asked
    assert [leak.index for leak in ours.leaks(received) if leak.index > first] == []
