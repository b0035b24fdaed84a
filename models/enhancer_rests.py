"""Faces of one call whose enhancement was not believed: each is left alone for a while, the longer the more often.

What one face is like, covered, turned away, half out of the picture, is no fault of the enhancer that others use: it
costs this face its detail, and a run now and then. Kept by `enhancer_stage` with what else it knows of a call.
"""

from dataclasses import dataclass

FIRST_FRAMES = 25
"""A second or so: by then most of what lay before a face is gone."""
LONGEST_FRAMES = 64 * FIRST_FRAMES
"""Of a face that is never believed, a run a minute is spent."""


@dataclass(slots=True)
class _Rest:
    frames: int
    until: int


class EnhancerRests:
    """By enhancer and track. Time is counted in frames of the call: `next_frame` comes once for each."""

    def __init__(self) -> None:
        self._rests: dict[tuple[str, int], _Rest] = {}
        self._doubted: set[str] = set()
        self._frame = 0

    def next_frame(self) -> None:
        """One frame has passed for all."""
        self._frame += 1

    def resting(self, enhancer: str, track_id: int) -> bool:
        """Whether this face is not to be enhanced in this frame."""
        rest = self._rests.get((enhancer, track_id))
        return rest is not None and self._frame < rest.until

    def doubted(self, enhancer: str) -> bool:
        """Whether its last answer for this call was not believed: another such tells nothing new of the enhancer.

        Lost tracks and a new identity change nothing of it: the call is the same.
        """
        return enhancer in self._doubted

    def judged(self, enhancer: str, track_id: int, *, sound: bool) -> None:
        """What became of an answer: one that is not believed begins a rest of twice the frames of the one before."""
        before = self._rests.pop((enhancer, track_id), None)
        if sound:
            self._doubted.discard(enhancer)
            return
        self._doubted.add(enhancer)
        frames = FIRST_FRAMES if before is None else min(2 * before.frames, LONGEST_FRAMES)
        self._rests[enhancer, track_id] = _Rest(frames=frames, until=self._frame + 1 + frames)

    def keep(self, present: set[int]) -> None:
        """Forget all tracks but these."""
        self._rests = {key: rest for key, rest in self._rests.items() if key[1] in present}

    def clear(self) -> None:
        """Forget every track."""
        self._rests.clear()
