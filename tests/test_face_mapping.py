"""A mapping in ids: what it may ask for, what the lane makes of it, and that it only ever shows less."""

from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace

from mirage_rtc import face_mapping
from mirage_rtc.errors import BadInput, Forbidden, MirageError, NotFound
from mirage_rtc.face_mapping import CallMapping, MappedPerson
from models.engines import IdentitySource, Others

ADA = MappedPerson(reference="portrait:ada", wears="mask:one")
BOB = MappedPerson(reference="portrait:bob", wears="portrait:ada", threshold=0.6)


def source_of(identity_id: str) -> IdentitySource:
    """Two portraits and a mask."""
    kind, _, name = identity_id.partition(":")
    if name not in ("ada", "bob", "one"):
        raise NotFound("identity_not_found", "There is no such identity.")
    return IdentitySource(kind="mask" if kind == "mask" else "portrait", name=identity_id)


def refusal(mapping: CallMapping, *, recognises: bool = True, granted: bool = True) -> str | None:
    """The code with which a mapping is refused."""
    try:
        face_mapping.require_allowed(mapping, recognises=recognises, granted=granted)
    except MirageError as error:
        return error.code if error.sentence.endswith(".") else error.sentence
    return None


def test_no_mapping_is_everybody_in_the_one_identity() -> None:
    """Any engine can do that, and the lane is told nothing."""
    assert CallMapping().is_plain
    assert refusal(CallMapping(), recognises=False) is None
    assert face_mapping.resolved(CallMapping(), source_of) is None
    assert not CallMapping(others="blur").is_plain


@pytest.mark.parametrize("mapping", [CallMapping(entries=(ADA,)), CallMapping(others="blur")], ids=["named", "nobody"])
def test_an_engine_that_cannot_tell_people_apart_has_no_mapping(mapping: CallMapping) -> None:
    """Whatever it says."""
    assert refusal(mapping, recognises=False) == "mapping_needs_neural"
    assert refusal(mapping) is None


def test_a_person_stands_in_a_mapping_once() -> None:
    """What would they wear?"""
    assert refusal(CallMapping(entries=(ADA, BOB, ADA))) == "mapping_twice"


def test_others_are_to_be_left_alone_only_where_that_is_granted() -> None:
    """Nobody is before it is switched on: what the lane follows says so."""
    bare = CallMapping(entries=(ADA,), others="passthrough")
    assert refusal(bare, granted=False) == "passthrough_not_granted"
    with pytest.raises(Forbidden):
        face_mapping.require_allowed(bare, recognises=True, granted=False)
    assert refusal(bare) is None


def test_a_mapping_is_resolved_into_identities() -> None:
    """References are portraits; what is worn is anything, or nothing."""
    blurred = MappedPerson(reference="portrait:bob", wears=None)
    found = face_mapping.resolved(CallMapping(entries=(ADA, blurred), others="blur", lock=False), source_of)
    assert found is not None
    assert [face.reference.name for face in found.faces] == ["portrait:ada", "portrait:bob"]
    assert [face.wears and face.wears.name for face in found.faces] == ["mask:one", None]
    assert (found.faces[0].threshold, found.others, found.lock) == (face_mapping.THRESHOLD, "blur", False)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (MappedPerson(reference="mask:one", wears=None), "mapping_reference"),
        (MappedPerson(reference="portrait:eve", wears=None), "identity_not_found"),
        (MappedPerson(reference="portrait:ada", wears="mask:eve"), "identity_not_found"),
    ],
    ids=["mask", "unknown", "wears unknown"],
)
def test_what_cannot_be_resolved(entry: MappedPerson, code: str) -> None:
    """A mask recognises nobody; somebody else's portrait is not there."""
    with pytest.raises((BadInput, NotFound)) as refused:
        face_mapping.resolved(CallMapping(entries=(entry,)), source_of)
    assert refused.value.code == code


@pytest.mark.parametrize("others", ["swap", "passthrough", "blur"])
def test_a_removed_identity_leaves_people_blurred(others: Others) -> None:
    """Who wore it is blurred; who was recognised by it is nobody now, so that others are blurred from then on."""
    mapping = CallMapping(entries=(ADA, BOB), others=others)
    worn = face_mapping.without(mapping, "mask:one")
    assert [entry.wears for entry in worn.entries] == [None, "portrait:ada"]
    assert worn.others == others
    known = face_mapping.without(mapping, "portrait:ada")
    assert [(entry.reference, entry.wears) for entry in known.entries] == [("portrait:bob", None)]
    assert known.others == "blur"
    assert not face_mapping.without(CallMapping(entries=(ADA,), others=others), "portrait:ada").is_plain
    assert face_mapping.without(mapping, "portrait:eve") == mapping


def test_all_that_is_gone_leaves_a_mapping_at_once() -> None:
    """Whoever is told of one removal may find another one done already."""
    lost = CallMapping(
        entries=(MappedPerson(reference="portrait:eve", wears="mask:one"), replace(BOB, wears="mask:eve"), ADA),
        others="passthrough",
    )
    left = face_mapping.held(lost, source_of)
    assert [(entry.reference, entry.wears) for entry in left.entries] == [
        ("portrait:bob", None),
        ("portrait:ada", "mask:one"),
    ]
    assert left.others == "blur"
    kept = CallMapping(entries=(ADA, BOB), others="passthrough")
    assert face_mapping.held(kept, source_of) == kept


def test_what_the_lane_follows_is_covered_without_asking_for_anybody() -> None:
    """Nothing is resolved: who is gone cannot keep others uncovered."""
    bare = face_mapping.resolved(CallMapping(entries=(ADA,), others="passthrough"), source_of)
    assert bare is not None
    covered = face_mapping.followed(bare, "passthrough", passing=False)
    assert covered is not None
    assert (covered.faces, covered.others) == (bare.faces, "blur")
    assert face_mapping.followed(bare, "passthrough", passing=True) is bare
    assert face_mapping.followed(covered, "passthrough", passing=True) == bare
    assert face_mapping.followed(bare, "swap", passing=False) == replaced(bare, others="swap")
    assert face_mapping.followed(None, "passthrough", passing=True) is None


def test_a_passthrough_that_is_withdrawn_covers_others() -> None:
    """And changes nothing where there was none."""
    assert face_mapping.covered(CallMapping(entries=(ADA,), others="passthrough")).others == "blur"
    assert face_mapping.covered(CallMapping(entries=(ADA,), others="swap")).others == "swap"


def test_its_audit_event_holds_ids() -> None:
    """Nothing else."""
    assert face_mapping.audited(CallMapping(entries=(ADA, BOB), others="blur")) == {
        "references": "portrait:ada portrait:bob",
        "wears": "mask:one portrait:ada",
        "others": "blur",
    }
