"""What a person hears of an enhancer that stops and works again: by itself in virtual time, then through a call."""

import asyncio
from pathlib import Path

from mirage_rtc.enhancer_news import REST_S, EnhancerNews
from mirage_rtc.grants import Grants
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.session_events import Notice, SessionEvent
from models.engines import Enhancement, EnhancerWish
from tests.call_parts import picture, registry
from tests.virtual_time import FakeClock

WISH = EnhancerWish(mode="auto")
RUNNING = Enhancement(model="gpen-256", every=2)
BUSY, FAILED = Enhancement(paused="busy"), Enhancement(paused="failed")
STALLING = LaneSpec(
    engine="tests.scripted_engines:StallingFaceEngine", pipeline="mirage_rtc.swap_pipeline:SwapPipeline"
)


class Listener:
    """One call's news, picture after picture."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.news = EnhancerNews(self.clock)

    def told(self, now: Enhancement, *, for_s: float = 1.0, wish: EnhancerWish = WISH) -> list[str]:
        """The codes of the notices while the enhancement is this for so long, ten pictures a second."""
        codes = []
        for _ in range(round(for_s * 10)):
            self.clock.advance(0.1)
            notice = self.news.due(wish, now)
            codes += [] if notice is None else [notice.code]
        return codes


def test_a_stop_and_the_return_are_told_once_each() -> None:
    """At once, if nothing was told lately; another cadence is no news."""
    listener = Listener()
    assert listener.told(RUNNING, for_s=5) == []
    assert listener.told(BUSY, for_s=2 * REST_S) == ["enhancer_paused"]
    assert listener.told(RUNNING, for_s=5) == ["enhancer_back"]
    assert listener.told(Enhancement(model="gpen-256", every=4), for_s=2 * REST_S) == []
    assert listener.told(FAILED, for_s=2 * REST_S) == ["enhancer_failed"]


def test_an_enhancer_that_comes_and_goes_is_told_of_rarely_and_truly() -> None:
    """Over ten minutes in which it changes every five seconds; what is told last is what is then true."""
    listener, at_s = Listener(), []
    for _ in range(60):
        for now in (BUSY, RUNNING):
            at_s += [listener.clock() for _ in listener.told(now, for_s=5)]
    assert all(after - before >= REST_S for before, after in zip(at_s, at_s[1:], strict=False))
    assert 2 <= len(at_s) <= 20
    told = listener.told(RUNNING, for_s=REST_S) + listener.told(BUSY, for_s=REST_S + 1)
    assert told[-1] == "enhancer_paused"
    assert listener.told(RUNNING, for_s=5) == ["enhancer_back"]
    assert listener.told(BUSY, for_s=5) == []
    assert listener.told(BUSY, for_s=REST_S) == ["enhancer_paused"]


def test_of_a_face_that_rests_and_of_opening_nothing_is_told() -> None:
    """Nor of a call whose engine has none: the state says it, and it is nothing to act upon."""
    listener = Listener()
    for now in (Enhancement(paused="opening"), RUNNING, Enhancement(paused="face"), RUNNING, Enhancement()):
        assert listener.told(now, for_s=REST_S + 1) == []


def test_a_person_who_switched_it_off_hears_nothing_of_it() -> None:
    """Neither that it stands still nor, later, that it is back."""
    listener = Listener()
    assert listener.told(BUSY) == ["enhancer_paused"]
    assert listener.told(BUSY, for_s=2 * REST_S, wish=EnhancerWish(mode="off")) == []
    assert listener.told(RUNNING, for_s=2 * REST_S) == []


async def test_the_person_in_the_call_is_told_and_the_state_says_why(tmp_path: Path) -> None:
    """Through a lane whose enhancer is off after failures."""
    async with registry(tmp_path, face=STALLING) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        told: list[SessionEvent] = []
        session.attach(told.append)
        path = session.open_chunks().leg.video
        session.set_enhancer(WISH)
        for step in range(4):
            path.push(lambda: picture(128), size_px=(64, 64), capture_s=1.0 + step, is_cheap=True)
            async with asyncio.timeout(60):
                while (await path.next()).kind != "live":
                    pass
        state = session.state().enhancer

    assert [(event.code, event.severity) for event in told if isinstance(event, Notice)] == [
        ("enhancer_failed", "warning")
    ]
    assert (state.running, state.paused, state.offers) == ("", "failed", ("gpen-256",))
