"""A mapping fails closed, watched from the far end of real calls: who is not surely known is never seen.

Small networks stand in for the operator's weights (`neural_parts`), the person is enrolled as the product enrols; the
lane, the gate, the peer and the codecs are its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import msgspec

from mirage_rtc.consent import ConsentForm
from mirage_rtc.face_mapping import CallMapping, MappedPerson
from models.engines import Frame
from tests import media
from tests.asset_frames import with_golden
from tests.leak_detector import FaceWatch
from tests.live_calls import LiveCall, live_call, voice_lane
from tests.media import Clip
from tests.test_neural_leaks import assert_nothing_leaked, neural_lane, recognised

FORM = ConsentForm(attested_by="A", subject_name="A", relation="self", purpose="a test", attests=True)
pytestmark = with_golden


@asynccontextmanager
async def mapped_call(data_dir: Path, clip: Clip, portrait: Frame, **fault: Any) -> AsyncIterator[LiveCall]:
    """A call in which who is in `portrait` wears a mask, from a moment on in which nobody was shown yet."""
    lane = neural_lane(**fault)
    async with live_call(data_dir, clip, media.speech("man"), face=lane, sound=voice_lane(), max_faces="2") as call:
        ok, png = cv2.imencode(".png", portrait)
        assert ok
        session = call.session
        card = await session._around.vault.enroll(session.subject, [png.tobytes()], FORM)
        person = MappedPerson(reference=card.id, wears="mask:carved")
        await session.set_mapping(CallMapping(entries=(person,), others="blur"))
        yield call


async def test_who_takes_the_place_of_somebody_mapped_is_never_seen(tmp_path: Path) -> None:
    """From one frame to the next, again and again; the first one is swapped each time."""
    clip = media.somebody_else_takes_the_place()
    async with mapped_call(tmp_path, clip, clip.frames[5]) as call:
        await call.until_swapped(15)
    assert_nothing_leaked(call, clip)
    assert recognised(media.talking_head("man_b"), [seen.frame for seen in call.peer.seen][::3]) == []


async def test_nobody_is_seen_while_the_identity_network_fails(tmp_path: Path) -> None:
    """Covered while it lasts, swapped again after it. One run is the portrait's, the next sees the person."""
    clip = media.talking_head("man_a")
    fault: dict[str, Any] = {"part": "encoder", "fault": "not finite", "first": 3, "last": 9}
    async with mapped_call(tmp_path, clip, clip.frames[5], **fault) as call:
        await call.until_swapped(42)
        failed = call.session._around.metrics.engine_errors.labels("face", "raised")._value.get()
    assert failed >= 7
    assert_nothing_leaked(call, clip)


async def test_who_walks_in_is_never_seen_but_under_passthrough_and_who_is_mapped_not_even_then(tmp_path: Path) -> None:
    """Blurred, then left alone as long as passthrough is on, then blurred; the watch is awake while it is on."""
    clip = media.second_person_walks_in()
    half = clip.frames[0].shape[1] // 2
    async with mapped_call(tmp_path, clip, clip.frames[0][:, :half]) as call:
        await call.until_swapped(25)
        asked = len(call.peer.seen)
        call.session.set_passthrough(face=True, voice=False)
        await call.session.set_mapping(msgspec.structs.replace(call.session.state().mapping, others="passthrough"))
        await call.until_left("passthrough", 15)
        await call.peer.until_seen(call.left())
        withdrawn = call.left()
        call.session.set_passthrough(face=False, voice=False)
        await call.until_swapped(15)
    received = [seen.frame for seen in call.peer.seen]
    mapped = tuple(tuple(box for box in boxes if box[2] < half) for boxes in clip.faces)
    alone = tuple(tuple(box for box in boxes if box[0] > half) for boxes in clip.faces)
    assert FaceWatch(Clip(name="mapped", frames=clip.frames, faces=mapped)).leaks(received) == []
    shown = [leak.index for leak in FaceWatch(Clip(name="alone", frames=clip.frames, faces=alone)).leaks(received)]
    assert len(shown) >= 3
    assert asked <= shown[0]
    assert shown[-1] < withdrawn
