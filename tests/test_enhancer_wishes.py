"""What a call may ask of the face enhancer, and the sentences of what it may not."""

import pytest

from mirage_rtc import enhancer_wishes
from mirage_rtc.errors import BadInput, Unavailable
from models.engines import EnhancerWish


def test_without_an_enhancer_only_none_can_be_asked_for() -> None:
    """And it is said how to get one."""
    enhancer_wishes.require(EnhancerWish(mode="off", model="gfpgan"), ())
    for wish in (EnhancerWish(mode="auto"), EnhancerWish(mode="every", model="codeformer")):
        with pytest.raises(Unavailable, match="models fetch") as refused:
            enhancer_wishes.require(wish, ())
        assert refused.value.code == "enhancer_missing"


def test_another_one_than_there_are_is_refused_by_name() -> None:
    """With the names that there are."""
    offers = ("codeformer", "gpen-256")
    enhancer_wishes.require(EnhancerWish(mode="every"), offers)
    enhancer_wishes.require(EnhancerWish(mode="auto", model="gpen-256"), offers)
    with pytest.raises(BadInput, match="it has codeformer, gpen-256") as refused:
        enhancer_wishes.require(EnhancerWish(mode="auto", model="gfpgan"), offers)
    assert refused.value.code == "enhancer_unknown"
