"""When each packet of a picture leaves: small pictures at once, a key frame spread over the queues on its way.

Upstream sends a picture's packets in one burst; the browser's own pacer sends at 2.5 times its target rate (libwebrtc,
`PacingController`). Used by `sender`, for pictures only: a voice packet never waits.
"""

import asyncio
from collections.abc import Sequence

from mirage_rtc.clock import Clock

BURST_PACKETS = 10
"""So many leave at once: what 512x512 at 1.2 Mbit/s needs for all but a key frame."""
RATE_FACTOR = 2.5
FRAME_MAX_S = 0.05
"""The last packet of a picture leaves at most so long after its first."""
_NAP_MIN_S = 0.002
"""A shorter wait is not worth a timer."""


def offsets_s(sizes: Sequence[int], target_bps: int) -> list[float]:
    """When packets of these sizes (bytes) leave, in seconds after the first."""
    spread = sizes[BURST_PACKETS:]
    if not spread:
        return [0.0] * len(sizes)
    seconds_per_byte = min(8.0 / (RATE_FACTOR * target_bps), FRAME_MAX_S / sum(spread))
    offsets, at_s = [0.0] * BURST_PACKETS, 0.0
    for size in spread:
        at_s += size * seconds_per_byte
        offsets.append(at_s)
    return offsets


class Pacer:
    """Waits for the time of a packet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin_s = 0.0

    def begin(self) -> None:
        """A picture's first packet is about to leave."""
        self._begin_s = self._clock()

    async def turn(self, offset_s: float) -> None:
        """Return when it is `offset_s` after `begin`, at once if that is past or as good as now."""
        wait_s = self._begin_s + offset_s - self._clock()
        if wait_s >= _NAP_MIN_S:
            await asyncio.sleep(wait_s)
