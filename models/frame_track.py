"""Values by absolute frame, written once: what the timelines of imported voices are made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.voice_graph import HOPS_MS, LOOK_AHEAD_FRAMES, SEEN_FRAMES

KEPT_FRAMES = SEEN_FRAMES + LOOK_AHEAD_FRAMES + 2 * max(HOPS_MS) // 10


class Track:
    """Values by absolute frame, appended once and for all; the last `KEPT_FRAMES` can be read."""

    def __init__(self, width: int, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._rows = np.zeros((2 * KEPT_FRAMES, width), dtype)
        self._used = 0
        self.end = 0
        """The first frame that is not written yet."""

    def append(self, rows: NDArray[Any]) -> None:
        """Write the frames from `end` on: [n, width], n at most `KEPT_FRAMES`."""
        count = len(rows)
        if self._used + count > len(self._rows):
            self._rows[:KEPT_FRAMES] = self._rows[self._used - KEPT_FRAMES : self._used]
            self._used = KEPT_FRAMES
        self._rows[self._used : self._used + count] = rows
        self._used += count
        self.end += count

    def read(self, begin: int, end: int) -> NDArray[Any]:
        """Frames [begin, end), a copy; zeros before the stream began. IndexError for what is not there."""
        if end > self.end or begin > end or (begin >= 0 and begin < self.end - self._used):
            raise IndexError(f"frames {begin} to {end} of {self.end - self._used} to {self.end}")
        missing = min(max(0, -begin), end - begin)
        first = self._used - self.end + begin + missing
        found = self._rows[first : first + end - begin - missing]
        return np.concatenate([np.zeros((missing, found.shape[1]), found.dtype), found])
