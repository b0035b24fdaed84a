"""Names of uploaded reference voices: one's own only, the last few only."""

import pytest

from mirage_rtc.errors import NotFound
from models.engines import VoiceProfile
from signaling.voice_references import KEPT_PER_SUBJECT, VoiceReferences


def test_a_reference_is_its_uploaders_alone() -> None:
    """Its name opens nothing for anyone else."""
    references = VoiceReferences()
    profile = VoiceProfile(values={})
    name = references.add("ada", profile)
    assert references.get("ada", name) is profile
    assert references.name_of("ada", profile) == name
    with pytest.raises(NotFound) as caught:
        references.get("bob", name)
    assert caught.value.code == "reference_not_found"


def test_the_oldest_makes_room_and_leavers_are_forgotten() -> None:
    """Memory is bounded by who is in a call."""
    references = VoiceReferences()
    names = [references.add("ada", VoiceProfile(values={})) for _ in range(KEPT_PER_SUBJECT + 1)]
    with pytest.raises(NotFound):
        references.get("ada", names[0])
    references.get("ada", names[1])
    references.keep({"bob"})
    with pytest.raises(NotFound):
        references.get("ada", names[1])
