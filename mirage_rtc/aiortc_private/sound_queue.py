"""Decodes sound where it arrives. In the place of the decoder's queue of a sound's receiver; made by `receiver`.

Upstream (aiortc 1.16.0) wakes a thread for each 20 ms packet and makes a task and two futures to bring the frame back,
which takes longer than to decode it, and a twelfth of a passed-through call's CPU. Its thread only waits for the end.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from aiortc.codecs import get_decoder
from av import FFmpegError

from mirage_rtc.aiortc_private.allowance import Allowance
from mirage_rtc.aiortc_private.concealment import Concealment

logger = logging.getLogger(__name__)

AHEAD_MAX_S = 2.0
"""No peer may have more sound decoded than time has passed, but for this: the event loop is everybody's."""
PACE = 1.1
"""A peer's clock may be faster than ours."""
REFUSED_COSTS_S = 0.02
"""What cannot be decoded costs as much as a packet that can."""


class SoundQueue:
    """`leave` takes each decoded frame; it and `put` belong to the event loop's thread. `clock` is in seconds.

    Lost sound and pauses are handed to the Opus decoder to conceal.
    """

    def __init__(self, *, clock: Callable[[], float], leave: Callable[[Any], None]) -> None:
        self.dropped = 0
        self.offered = 0
        self.codec: Any = None
        self.concealment = Concealment()
        self._clock = clock
        self._leave = leave
        self._ended = threading.Event()
        self._decoder: Any = None
        self._decodes = ""
        self._allowed_s = Allowance(most=AHEAD_MAX_S, per_s=PACE, clock=clock)
        self._refused = 0
        self._told_s = float("-inf")

    def put(self, task: Any) -> None:
        """Decode one (codec, frame) and what must be concealed before it, or None to end upstream's thread."""
        if task is None:
            return self._ended.set()
        self.codec, frame = task
        self.offered += 1
        # To FFmpeg an empty packet is the end of the stream: no decoder decodes anything after one.
        if self._ended.is_set() or not frame.data or not self._allowed_s.any():
            self.dropped += 1
            return None
        if self.codec.name.lower() == "opus":
            for part in self.concealment.before(frame, lost=getattr(frame, "lost", 0) > 0):
                self._decode(self.codec, part)
        return self._decode(self.codec, frame)

    def get(self) -> None:
        """None, at the end; blocks upstream's decoder thread until then."""
        self._ended.wait()

    def _decode(self, codec: Any, frame: Any) -> None:
        if codec.name != self._decodes:
            self._decoder, self._decodes = get_decoder(codec), codec.name
        try:
            frames = self._decoder.decode(frame)
        except FFmpegError:
            self._allowed_s.spend(REFUSED_COSTS_S)
            return self._tell_refused()
        for decoded in frames:
            self._allowed_s.spend(decoded.samples / decoded.sample_rate)
            self._leave(decoded)
        return None

    def _tell_refused(self) -> None:
        """One line a second at most: a peer must not fill the log."""
        self._refused += 1
        if self._clock() - self._told_s >= 1.0:
            logger.warning("sound was not decoded", extra={"packets": self._refused})
            self._told_s, self._refused = self._clock(), 0
