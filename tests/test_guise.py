"""What a person asked to look and sound like, over a real vault and a face lane that has not started."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirage_rtc.__main__ import _engines_in_words
from mirage_rtc.config import load
from mirage_rtc.consent import ConsentLedger
from mirage_rtc.errors import BadInput, Forbidden, MirageError, NotFound, Unavailable
from mirage_rtc.face_mapping import CallMapping, MappedPerson
from mirage_rtc.grants import Grants
from mirage_rtc.guise import Guise
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import Lane
from models.engines import EnhancerWish, VoiceSettings
from models.imported_voices import ImportedVoice
from tests import imported_lane
from tests.call_parts import FACE, FORM, PlainMask, portrait_png, registry, thumbnail

GRACE = ImportedVoice(name="rvc:grace", title="Grace", description="Hers.", receipt_id="cv_1")
ALL = Grants(passthrough=True, badge_off=True)


async def _usable(_: object) -> None:
    """Every portrait is."""


class Fitting:
    """A guise, what it is made over, and the events that it told."""

    def __init__(self, data_dir: Path) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.lane = Lane("face", FACE)
        self.lane.recognises = True
        self.voices: dict[str, ImportedVoice] = {}
        self.vault = IdentityVault(
            masks=(PlainMask("a"), PlainMask("b")),
            draw_mask=thumbnail,
            ledger=ConsentLedger(data_dir / "consent.jsonl", b"k" * 32),
            inspect=_usable,
            max_portraits=2,
            max_bytes=1 << 20,
            max_pixels=1 << 20,
        )

    def guise(self, grants: Grants = ALL) -> Guise:
        """One more."""
        return Guise(
            "x",
            grants,
            vault=self.vault,
            face_lane=self.lane,
            imported_voices=lambda: self.voices,
            enhancer=EnhancerWish(),
            on_change=lambda event, fields: self.events.append((event, fields)),
        )

    async def portrait(self, value: int = 90) -> str:
        """The id of a portrait of the person's own."""
        return (await self.vault.enroll("x", [portrait_png(value)], FORM)).id


@pytest.fixture
async def fitting(tmp_path: Path) -> AsyncIterator[Fitting]:
    """Two masks, no portrait, a lane that recognises people and has no enhancer."""
    made = Fitting(tmp_path)
    yield made
    await made.lane.close()


def test_a_new_guise_wears_the_first_mask_and_shows_nothing_raw(fitting: Fitting) -> None:
    """Nothing is muted, the badge is on, and nobody was told of a change."""
    wishes = fitting.guise().wishes
    assert (wishes.identity.kind, wishes.identity.name, wishes.mapping) == ("mask", "a", None)
    assert not any((wishes.passthrough_face, wishes.passthrough_voice, wishes.muted_audio, wishes.muted_video))
    assert wishes.badge
    assert fitting.events == []


def test_each_choice_is_a_wish_and_one_event(fitting: Fitting) -> None:
    """With the fields that the audit log takes, after the wishes are the new ones."""
    guise = fitting.guise()
    former = guise.wishes
    fitting.lane.engine_extras = ("gpen-256",)
    robot, sharper = VoiceSettings(preset="robot"), EnhancerWish(mode="auto", model="gpen-256")
    guise.wear("mask:b")
    guise.set_voice(robot)
    guise.set_muted(audio=True, video=False)
    guise.set_badge(False)
    guise.set_passthrough(face=True, voice=False)
    guise.set_enhancer(sharper)

    assert guise.identity == "mask:b"
    assert guise.wishes == replace(
        former,
        identity=fitting.vault.source("x", "mask:b"),
        voice=robot,
        fallback_voice=robot,
        muted_audio=True,
        badge=False,
        passthrough_face=True,
        enhancer=sharper,
    )
    assert fitting.events == [
        ("identity", {"identity_id": "mask:b"}),
        ("voice", {"preset": "robot"}),
        ("mute", {"voice": True, "face": False}),
        ("badge", {"visible": False}),
        ("passthrough", {"face": True, "voice": False}),
        ("enhancer", {"mode": "auto", "model": "gpen-256"}),
    ]


def test_unknown_and_ungranted_choices_are_refused_and_change_nothing(fitting: Fitting) -> None:
    """Identity, voice, a voice that would not disguise, badge, passthrough, an enhancer where there is none."""
    guise = fitting.guise(Grants())
    former = guise.wishes
    refused: list[tuple[type[MirageError], str]] = []
    choices: tuple[Callable[[], None], ...] = (
        lambda: guise.wear("mask:nobody"),
        lambda: guise.set_voice(VoiceSettings(preset="nobody")),
        lambda: guise.set_voice(VoiceSettings(preset="custom", pitch_semitones=0.1)),
        lambda: guise.set_badge(False),
        lambda: guise.set_passthrough(face=False, voice=True),
        lambda: guise.set_enhancer(EnhancerWish(mode="auto")),
        lambda: guise.set_mapping(CallMapping(entries=(MappedPerson(reference="portrait:no", wears=None),))),
    )
    for choose in choices:
        with pytest.raises(MirageError) as error:
            choose()
        refused.append((error.type, error.value.code))

    assert refused == [
        (NotFound, "identity_not_found"),
        (BadInput, "voice_unknown"),
        (BadInput, "voice_too_close"),
        (Forbidden, "badge_not_granted"),
        (Forbidden, "passthrough_not_granted"),
        (Unavailable, "enhancer_missing"),
        (NotFound, "identity_not_found"),
    ]
    assert (guise.wishes, guise.identity, guise.mapping) == (former, "mask:a", CallMapping())
    assert fitting.events == []


async def test_a_removed_portrait_is_worn_no_longer(fitting: Fitting) -> None:
    """At once where it was told, and by the next leg where it was not."""
    told, untold = fitting.guise(), fitting.guise()
    card = await fitting.portrait()
    for guise in (told, untold):
        guise.wear(card)
        assert guise.wishes.identity.name == card
    fitting.vault.remove("x", card)
    assert not told.lose_identity(card)
    assert (told.identity, told.wishes.identity.name) == ("mask:a", "a")
    assert fitting.events[-1] == ("identity", {"identity_id": "mask:a"})
    assert untold.renewed().identity.name == "a"
    assert untold.identity == "mask:a"


async def test_passthrough_ends_and_a_mapping_shrinks_when_two_of_its_faces_are_gone_at_once(fitting: Fitting) -> None:
    """Two removals in one turn: neither the switch nor being told of the first one stumbles over the second."""
    guise = fitting.guise()
    cards = [await fitting.portrait(value) for value in (90, 120)]
    guise.set_passthrough(face=True, voice=False)
    people = tuple(MappedPerson(reference=card, wears="mask:b") for card in cards)
    guise.set_mapping(CallMapping(entries=people, others="passthrough"))
    for card in cards:
        fitting.vault.remove("x", card)
    guise.set_passthrough(face=False, voice=False)
    assert not guise.wishes.passthrough_face
    assert guise.wishes.mapping is not None
    assert (guise.wishes.mapping.others, guise.mapping.others) == ("blur", "blur")

    assert [guise.lose_identity(card) for card in cards] == [True, False]
    assert guise.mapping == CallMapping(others="blur")
    assert guise.wishes.mapping.faces == ()
    assert [event for event, _ in fitting.events] == ["passthrough", "mapping", "passthrough", "mapping"]


async def test_with_a_mapping_passthrough_is_for_others_and_ends_with_it(fitting: Fitting) -> None:
    """Chosen before the switch they are blurred until it is on; who switches the mapping off is not raw by that."""
    guise = fitting.guise()
    people = (MappedPerson(reference=await fitting.portrait(), wears="mask:b"),)
    bare = CallMapping(entries=people, others="passthrough")
    guise.set_mapping(bare)
    followed = []
    for face, voice in ((False, True), (True, True), (False, True)):
        guise.set_passthrough(face=face, voice=voice)
        followed.append((guise.mapping.others, guise.wishes.mapping and guise.wishes.mapping.others))
    assert followed == [("passthrough", "blur"), ("passthrough", "passthrough"), ("blur", "blur")]

    guise.set_mapping(bare)
    guise.set_passthrough(face=True, voice=True)
    fitting.events.clear()
    guise.set_mapping(CallMapping(entries=people, others="blur"))
    assert guise.wishes.passthrough_face
    guise.set_mapping(CallMapping())
    assert (guise.wishes.mapping, guise.wishes.passthrough_face, guise.wishes.passthrough_voice) == (None, False, True)
    assert [event for event, _ in fitting.events] == ["mapping", "passthrough", "mapping"]
    assert fitting.events[1][1] == {"face": False, "voice": True}
    guise.set_passthrough(face=True, voice=False)
    guise.set_mapping(CallMapping())
    assert guise.wishes.passthrough_face


async def test_without_an_engine_that_recognises_there_is_no_mapping(fitting: Fitting) -> None:
    """Refused with a sentence; with one that was set the lane's fall is told once each time."""
    guise = fitting.guise()
    mapping = CallMapping(entries=(MappedPerson(reference=await fitting.portrait(), wears="mask:b"),), others="blur")
    fitting.lane.recognises = False
    with pytest.raises(BadInput) as refused:
        guise.set_mapping(mapping)
    fitting.lane.recognises, fitting.lane.state = True, "ready"
    guise.set_mapping(mapping)
    told = []
    for recognises in (True, False, False, True, False):
        fitting.lane.recognises = recognises
        told.append(guise.turned_blind())

    assert refused.value.code == "mapping_needs_neural"
    assert told == [False, True, False, False, True]


def test_a_voice_that_was_given_up_is_not_wished_for_any_more(fitting: Fitting) -> None:
    """The embedded one that speaks is; a voice that was chosen meanwhile stays."""
    fitting.voices["rvc:grace"] = GRACE
    guise, chosen = fitting.guise(), VoiceSettings(preset="robot")
    guise.set_voice(VoiceSettings(preset="rvc:grace"))
    guise.lose_voice(VoiceSettings())
    assert guise.wishes.voice == VoiceSettings()
    guise.set_voice(chosen)
    guise.lose_voice(VoiceSettings())
    assert guise.wishes.voice == chosen
    assert fitting.events[0] == ("voice", {"preset": "imported", "receipt_id": "cv_1"})


async def test_an_imported_voice_is_worn_only_while_it_is_on_offer(tmp_path: Path) -> None:
    """One that the store does not hold is refused, so is a control that it has not; the audit log names a receipt."""
    imported_lane.store(tmp_path, "grace")
    async with registry(tmp_path, voice=imported_lane.lane(tmp_path)) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        assert list(calls.imported_voices()) == ["rvc:grace"]
        report, config = calls.engines(), load(None, {})
        assert report.voice_offers
        assert "Imported voices on stand-ins." in _engines_in_words(report, config)
        await session.set_voice(VoiceSettings(preset="rvc:grace"))
        assert session.state().voice.preset == "rvc:grace"
        refusals = []
        for settings in (
            VoiceSettings(preset="rvc:nobody"),
            VoiceSettings(preset="nobody"),
            VoiceSettings(preset="rvc:grace", breath=0.5),
        ):
            with pytest.raises(BadInput) as refused:
                await session.set_voice(settings)
            refusals.append(refused.value.code)
    assert refusals == ["voice_unknown", "voice_unknown", "voice_control"]
    assert "cv_0000000000000000" in (tmp_path / "audit.jsonl").read_text()
    assert "grace" not in (tmp_path / "audit.jsonl").read_text()


async def test_a_lane_without_imported_voices_offers_none(tmp_path: Path) -> None:
    """Whatever the store holds."""
    imported_lane.store(tmp_path, "grace")
    async with registry(tmp_path) as (calls, _):
        assert calls.imported_voices() == {}
        session = await calls.admit(subject="x", grants=Grants())
        with pytest.raises(BadInput, match="no such voice"):
            await session.set_voice(VoiceSettings(preset="rvc:grace"))
