"""What a person is told when their enhancer stops or works again: a sentence each time, and rarely. Asked by `session`.

How it stands is in the call's state all the time; a notice is for who does not look there.
"""

from mirage_rtc.clock import Clock
from mirage_rtc.session_events import Notice
from models.engines import Enhancement, EnhancerPause, EnhancerWish

REST_S = 30.0
"""No notice sooner after another. What is true then is told then."""

_STOPPED: dict[EnhancerPause, Notice] = {
    "busy": Notice(
        code="enhancer_paused",
        sentence="The sharper face is paused, because the server has no time for it: the face that you wear goes on "
        "without it. It comes back by itself; switch it off if you would rather have no change.",
    ),
    "failed": Notice(
        code="enhancer_failed",
        sentence="The sharper face stopped working: the face that you wear goes on without it. Choose another network "
        "for it, or ask whoever runs the server to start it again.",
        severity="warning",
    ),
}
_BACK = Notice(code="enhancer_back", sentence="The sharper face is back.")


class EnhancerNews:
    """One call's. Of faces on which the enhancer is not believed for a while, and of opening it, nothing is told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: EnhancerPause = ""
        self._rest_until_s = float("-inf")

    def due(self, wish: EnhancerWish, now: Enhancement) -> Notice | None:
        """What the person should know now; ask with each picture, since it may be due later than it came about."""
        if wish.mode == "off":
            self._told = ""
            return None
        if not now.model and now.paused not in _STOPPED:
            return None
        if now.paused == self._told or self._clock() < self._rest_until_s:
            return None
        self._told, self._rest_until_s = now.paused, self._clock() + REST_S
        return _STOPPED.get(now.paused, _BACK)
