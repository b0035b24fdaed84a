"""One call, with a real aiortc caller and scripted engines in real lanes."""

import asyncio
from pathlib import Path

import pytest

from mirage_rtc.errors import BadInput, Forbidden, NotFound, Unavailable
from mirage_rtc.face_mapping import CallMapping, MappedPerson
from mirage_rtc.gate import PictureKind
from mirage_rtc.grants import Grants
from mirage_rtc.session_events import Closed, DegradeWanted, Notice, SessionEvent, StateChanged
from mirage_rtc.video_path import VideoPath
from models.engines import EnhancerWish, Others, VoiceSettings
from tests.call_client import caller
from tests.call_parts import FORM, SHADE_A, SHADE_B, TELLING, picture, portrait_png, registry


def _near(shade: int, other: int) -> bool:
    return abs(shade - other) < 12


async def _halves(path: VideoPath, capture_s: float, kind: PictureKind) -> tuple[int, ...]:
    """The shades of the left and the right half of the next picture of a kind, for a raw grey of 128."""
    path.push(lambda: picture(128), size_px=(64, 64), capture_s=capture_s, is_cheap=True)
    async with asyncio.timeout(30):
        while (safe := await path.next()).kind != kind:
            pass
    seen = (int(safe.i420[20, 10]), int(safe.i420[20, 50]))
    return tuple(min((SHADE_A, SHADE_B, 128), key=lambda shade: abs(shade - at)) for at in seen)


async def test_a_call_returns_the_swapped_picture_and_the_converted_voice(tmp_path: Path) -> None:
    """From the first picture on nothing of the raw grey comes back; the tone comes back halved."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: session.stats().swapped > 20 and session.stats().hops > 20)
        await peer.until(lambda: len(peer.shades) > 40 and _near(peer.shade, SHADE_A))
        await peer.until(lambda: len(peer.peaks) > 60 and 0.15 < peer.peaks[-1] < 0.25)
        await peer.until(lambda: (session.state().picture, session.state().sound) == ("live", "live"))
        transport = session.state().transport

    assert not any(_near(shade, 128) for shade in peer.shades)
    assert max(peer.peaks) < 0.3
    assert transport == "webrtc"


async def test_identity_and_voice_change_in_the_call(tmp_path: Path) -> None:
    """Another mask and another preset are seen and heard without a new negotiation."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: any(_near(shade, SHADE_A) for shade in peer.shades))
        await session.wear("mask:b")
        await session.set_voice(VoiceSettings(preset="robot"))
        await peer.until(lambda: _near(peer.shade, SHADE_B) and 0.05 < peer.peak < 0.13)
        seen = len(peer.shades)
        await peer.until(lambda: len(peer.shades) > seen + 10)

        assert not any(_near(shade, SHADE_A) for shade in peer.shades[seen:])


async def test_passthrough_needs_its_grant_and_ends_when_told(tmp_path: Path) -> None:
    """Refused without; with it the raw grey comes back, and goes again."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        plain = await calls.admit(subject="x", grants=Grants())
        with pytest.raises(Forbidden) as refused:
            plain.set_passthrough(face=True, voice=False)
        session = await calls.admit(subject="y", grants=Grants(passthrough=True))
        await peer.call(session)
        session.set_passthrough(face=True, voice=True)
        await peer.until(lambda: _near(peer.shade, 128) and peer.peak > 0.35)
        session.set_passthrough(face=False, voice=False)
        await peer.until(lambda: _near(peer.shade, SHADE_A) and 0.1 < peer.peaks[-1] < 0.3)
        seen, heard = len(peer.shades), len(peer.peaks)
        await peer.until(lambda: len(peer.shades) > seen + 15 and len(peer.peaks) > heard + 15)

    assert refused.value.code == "passthrough_not_granted"
    assert not any(_near(shade, 128) for shade in peer.shades[seen:])
    assert max(peer.peaks[heard:]) < 0.3


async def test_a_second_offer_takes_the_same_session_over(tmp_path: Path) -> None:
    """A reconnect is a new peer connection on the same settings."""
    async with registry(tmp_path) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        await session.wear("mask:b")
        for _ in range(2):
            async with caller() as peer:
                await peer.call(session)
                await peer.until(lambda: _near(peer.shade, SHADE_B))


@pytest.mark.parametrize(("camera", "microphone"), [(True, False), (False, True)])
async def test_a_call_needs_only_one_medium(tmp_path: Path, *, camera: bool, microphone: bool) -> None:
    """Video alone and audio alone work."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session, camera=camera, microphone=microphone)
        await peer.until(lambda: len(peer.shades) > 5 if camera else any(0.1 < peak < 0.3 for peak in peer.peaks))


@pytest.mark.parametrize("offer", ["", "nonsense", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"])
async def test_a_bad_offer_is_refused_and_the_session_goes_on(tmp_path: Path, offer: str) -> None:
    """The error is coded, and the media that runs goes on."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5)
        with pytest.raises(BadInput) as refused:
            await session.negotiate(offer)
        seen = len(peer.shades)
        await peer.until(lambda: len(peer.shades) > seen + 60)

    assert refused.value.code == "offer_bad"


async def test_a_refused_wish_changes_nothing(tmp_path: Path) -> None:
    """Neither what is worn nor the audit log; the listener is not told of a change either."""
    told: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        session.attach(told.append)
        before = session.state(), (tmp_path / "audit.jsonl").read_text()
        with pytest.raises(NotFound):
            await session.wear("mask:nobody")
        with pytest.raises(BadInput):
            await session.set_voice(VoiceSettings(preset="nobody"))
        with pytest.raises(Forbidden):
            session.set_badge(False)
        with pytest.raises(Unavailable):
            session.set_enhancer(EnhancerWish(mode="auto"))
        assert (session.state(), (tmp_path / "audit.jsonl").read_text()) == before
        assert told == []


async def test_a_second_listener_replaces_the_first(tmp_path: Path) -> None:
    """The former is told, and only the latter hears what follows."""
    first: list[SessionEvent] = []
    second: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        session.attach(first.append)
        session.attach(second.append)
        session.set_muted(audio=True, video=False)
        session.detach(first.append)
        session.set_muted(audio=False, video=False)

    assert isinstance(first[-1], Closed)
    assert first[-1].code == "replaced"
    assert [event.state.muted_audio for event in second if isinstance(event, StateChanged)] == [True, False]


async def test_what_is_worn_is_audited(tmp_path: Path) -> None:
    """Swap-in, passthrough and the end leave lines without a subject."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="somebody", grants=Grants(passthrough=True))
        await peer.call(session)
        await peer.until(lambda: session.state().picture == "live")
        session.set_passthrough(face=True, voice=False)
        await session.close("bye", "Good-bye.")
    text = (tmp_path / "audit.jsonl").read_text()

    assert [event for event in ("swap_in", "passthrough", "session_end") if f'"{event}"' not in text] == []
    assert "somebody" not in text


async def test_a_call_that_ended_while_an_offer_was_answered_stays_ended(tmp_path: Path) -> None:
    """No leg is installed on a closed session, and no raw or swapped media goes on."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        peer.connection.addTrack(peer.camera)
        await peer.connection.setLocalDescription(await peer.connection.createOffer())
        answering = asyncio.create_task(session.negotiate(peer.connection.localDescription.sdp))
        await asyncio.sleep(0)
        await session.close("bye", "Good-bye.")
        with pytest.raises(NotFound):
            await answering

    assert session._leg is None


async def test_a_leg_that_opens_after_the_portrait_was_removed_wears_the_mask(tmp_path: Path) -> None:
    """A reconnect, say, before anybody was told of the removal."""
    async with registry(tmp_path) as (calls, vault):
        session = await calls.admit(subject="x", grants=Grants())
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        await session.wear(card.id)
        vault.remove("x", card.id)
        assert session.open_chunks().leg._wishes.identity.name == "a"
        assert session.state().identity == "mask:a"


async def test_a_lead_of_the_audio_is_counted_and_told_to_adaptation_only(tmp_path: Path) -> None:
    """A picture 200 ms behind the voice asks for less video; the person in the call is not bothered with it."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        wanted: list[DegradeWanted] = []
        session.on_degrade = wanted.append
        await peer.call(session)
        told: list[SessionEvent] = []
        session.attach(told.append)
        leg = session._leg
        assert leg is not None
        leg.sync.audio_sent(leg.clock() + 100.0)
        leg.sync.passes(leg.clock() + 99.8, leg.clock())
        counted = session._around.metrics.degrades_wanted._value.get()

    assert [round(each.audio_lead_ms) for each in wanted] == [200]
    assert counted == 1.0
    assert not [event for event in told if isinstance(event, Notice)]


async def test_a_mapping_is_followed_remembered_and_shrinks_with_what_is_removed(tmp_path: Path) -> None:
    """Seen without a new negotiation, worn again by a lane's next worker, and lost with the face that was worn."""
    async with registry(tmp_path, face=TELLING) as (calls, vault), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        told: list[SessionEvent] = []
        session.attach(told.append)
        await peer.call(session)
        await peer.until(lambda: any(_near(shade, SHADE_A) for shade in peer.shades))
        mapping = CallMapping(entries=(MappedPerson(reference=card.id, wears="mask:b"),), others="blur")
        await session.set_mapping(mapping)
        await peer.until(lambda: _near(peer.shade, SHADE_B))
        seen = len(peer.shades)
        worker = session._around.face_lane._worker
        assert worker is not None
        worker.kill()
        await peer.until(lambda: session._around.face_lane.epoch == 2 and session.state().picture == "live")
        shown = len(peer.shades)
        await peer.until(lambda: len(peer.shades) > shown + 5)
        assert (session.state().mapping, session.state().can_map) == (mapping, True)
        vault.remove("x", card.id)
        await calls.forget_identity(card.id)
        left = session.state().mapping

    assert not any(_near(shade, SHADE_A) for shade in peer.shades[seen:])
    assert (left.entries, left.others) == ((), "blur")
    assert [event.code for event in told if isinstance(event, Notice)] == ["mapping_shrunk"]
    assert f'"references":"{card.id}","wears":"mask:b","others":"blur"' in (tmp_path / "audit.jsonl").read_text()


async def test_others_are_left_alone_only_while_passthrough_is_on(tmp_path: Path) -> None:
    """Covered before; then the raw half of the picture comes and goes with it, and the mapped half never is raw."""
    async with registry(tmp_path, face=TELLING) as (calls, vault):
        session = await calls.admit(subject="x", grants=Grants(passthrough=True))
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        bare = CallMapping(entries=(MappedPerson(reference=card.id, wears="mask:b"),), others="passthrough")
        await session.set_mapping(bare)
        path = session.open_chunks().leg.video
        generations, halves = [path.gate.generation], [await _halves(path, 1.0, "live")]
        for step, face in enumerate((True, False)):
            session.set_passthrough(face=face, voice=False)
            generations.append(path.gate.generation)
            halves.append(await _halves(path, 2.0 + step, "passthrough" if face else "live"))

    covered = (SHADE_B, SHADE_B)
    assert halves == [covered, (SHADE_B, 128), covered]
    assert generations == sorted(set(generations))
    assert session.state().mapping.others == "blur"


@pytest.mark.parametrize("how", ["removed", "blur", "swap", "off"])
async def test_who_is_mapped_stays_covered_under_passthrough_whatever_becomes_of_the_mapping(
    tmp_path: Path, how: str
) -> None:
    """The portrait is removed, others are covered again, or all is switched off, which ends passthrough too."""
    async with registry(tmp_path, face=TELLING) as (calls, vault):
        session = await calls.admit(subject="x", grants=Grants(passthrough=True))
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        entries = (MappedPerson(reference=card.id, wears="mask:b"),)
        await session.set_mapping(CallMapping(entries=entries, others="passthrough"))
        session.set_passthrough(face=True, voice=False)
        path = session.open_chunks().leg.video
        mixed = await _halves(path, 1.0, "passthrough")
        if how == "removed":
            vault.remove("x", card.id)
            await calls.forget_identity(card.id)
        else:
            others: Others = "blur" if how == "blur" else "swap"
            await session.set_mapping(CallMapping(entries=() if how == "off" else entries, others=others))
        after = await _halves(path, 2.0, "live")

    assert mixed == (SHADE_B, 128)
    assert 128 not in after
    assert session.state().passthrough_face == (how != "off")


async def test_a_lane_that_falls_back_to_an_engine_that_recognises_nobody_is_told_once(tmp_path: Path) -> None:
    """While a mapping is set: everybody is covered by the lane, and the person learns why."""
    async with registry(tmp_path) as (calls, vault):
        session = await calls.admit(subject="x", grants=Grants())
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        lane = session._around.face_lane
        lane.recognises = True
        await session.set_mapping(CallMapping(entries=(MappedPerson(reference=card.id, wears="mask:b"),)))
        told: list[SessionEvent] = []
        session.attach(told.append)
        lane.recognises = False
        for _ in range(2):
            session.engines_changed()

    assert [event.code for event in told if isinstance(event, Notice)] == ["mapping_needs_neural"]


async def test_who_cannot_be_shown_is_told_why_once(tmp_path: Path) -> None:
    """A portrait that passed and yet cannot be made a face of: the picture is covered, and the sentence comes once."""
    async with registry(tmp_path) as (calls, vault):
        session = await calls.admit(subject="x", grants=Grants())
        told: list[SessionEvent] = []
        session.attach(told.append)
        card = await vault.enroll("x", [portrait_png(90)], FORM)
        vault._portraits["x"][card.id].frames[0][:] = 0
        await session.wear(card.id)
        path = session.open_chunks().leg.video
        for step in range(4):
            path.push(lambda: picture(128), size_px=(64, 64), capture_s=1.0 + step, is_cheap=True)
            async with asyncio.timeout(10):
                assert (await path.next()).kind == "card"

    assert [event.code for event in told if isinstance(event, Notice)] == ["portrait_no_face"]
