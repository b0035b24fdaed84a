"""Portraits that cannot be used, in words."""

import numpy as np
import pytest

from models import portrait_rules
from models.engines import IdentitySource, PortraitError


def test_exactly_one_face() -> None:
    """A bystander of a third of its size does not count; nobody, or a second person, does."""
    assert portrait_rules.only_face([30.0, 100.0], float) == 100.0
    with pytest.raises(PortraitError) as nobody:
        portrait_rules.only_face([], float)
    with pytest.raises(PortraitError) as several:
        portrait_rules.only_face([100.0, 36.0], float)
    assert (nobody.value.code, several.value.code) == ("portrait_no_face", "portrait_several_faces")


def test_large_enough() -> None:
    """From 80 pixels on; the sentence says both numbers."""
    portrait_rules.require_size(80)
    with pytest.raises(PortraitError, match="only 79 pixels high.*at least 80") as small:
        portrait_rules.require_size(79)
    assert small.value.code == "portrait_face_too_small"


def test_a_source_without_a_picture() -> None:
    """And one with it."""
    frame = np.zeros((4, 4, 3), np.uint8)
    assert portrait_rules.picture(IdentitySource(kind="portrait", name="p", portrait=frame)) is frame
    with pytest.raises(PortraitError, match="no picture"):
        portrait_rules.picture(IdentitySource(kind="portrait", name="p"))


def test_a_face_in_profile() -> None:
    """Is as good as none."""
    assert portrait_rules.turned_away().code == "portrait_no_face"


def test_several_pictures_of_a_source() -> None:
    """The first, then the others; what is wrong with which is said by number."""
    first, second = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    source = IdentitySource(kind="portrait", name="p", portrait=first, more=(second,))
    assert [one is other for one, other in zip(portrait_rules.pictures(source), (first, second), strict=True)] == [
        True,
        True,
    ]
    assert portrait_rules.somebody_else(1).sentence.startswith("Picture 2 ")
    both = portrait_rules.unusable([(0, portrait_rules.turned_away()), (2, portrait_rules.turned_away())])
    assert both.code == "portraits_unusable"
    assert "Picture 1: The face is seen from the side." in both.sentence
    assert "Picture 3: The face is seen from the side." in both.sentence
