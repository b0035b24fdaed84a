"""What kind of picture a call is said to show: told to the page, and recorded. Held by `session`.

Where a mapping leaves people as they are, a picture with somebody uncovered may follow one without thirty times a
second. The way there is told at once, the way back when it has lasted.
"""

from mirage_rtc.clock import Clock
from mirage_rtc.gate import PictureKind

HOLD_S = 1.0
"""For so long after a raw face a call is said to show one."""


class ShownPicture:
    """The kind of one call's pictures; `kind` is None until there is one."""

    def __init__(self, clock: Clock) -> None:
        self.kind: PictureKind | None = None
        self._clock = clock
        self._raw_s = float("-inf")

    def note(self, kind: PictureKind, *, passing: bool) -> bool:
        """Note a picture and say whether `kind` is another now. Nothing is held once passthrough is off (`passing`)."""
        now_s = self._clock()
        if kind == "passthrough":
            self._raw_s = now_s
        elif kind == "live" and passing and now_s - self._raw_s < HOLD_S:
            kind = "passthrough"
        former, self.kind = self.kind, kind
        return kind != former
