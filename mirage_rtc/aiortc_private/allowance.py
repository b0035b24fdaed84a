"""What a peer may cost: so much at once, and so much more with every second. Used by `sender` and `sound_queue`."""

from mirage_rtc.clock import Clock


class Allowance:
    """A token bucket. `most` may be spent at once, `per_s` comes back each second; `clock` is in seconds."""

    def __init__(self, *, most: float, per_s: float, clock: Clock) -> None:
        self._most, self._per_s, self._clock = most, per_s, clock
        self._left = most
        self._renewed_s = clock()

    def any(self) -> bool:
        """Whether something may be spent: the last spending may exceed what is left."""
        now_s = self._clock()
        self._left = min(self._most, self._left + self._per_s * (now_s - self._renewed_s))
        self._renewed_s = now_s
        return self._left > 0

    def spend(self, amount: float) -> None:
        """Take `amount` away, below nothing if need be."""
        self._left -= amount
