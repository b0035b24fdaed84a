"""Which of the followed faces wear the identity: the largest, steadily. Shared by the trackers of both face engines."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from models.geometry import Floats, area, coincides
from models.vanished_faces import VanishedFace, VanishedFaces

SPARE_TRACKS = 2
"""Faces followed beyond `max_faces`, so that their blur moves with them."""
KEEP_FACTOR = 1.3
"""How much larger a newcomer must be to take the identity over."""


class RankedTrack(Protocol):
    """What a tracker knows of one face. `chosen` when it wears the identity."""

    track_id: int
    seen_s: float
    chosen: bool

    @property
    def box(self) -> Floats:
        """(4,) pixels."""


T = TypeVar("T", bound=RankedTrack)


def merged(tracks: Iterable[T]) -> list[T]:
    """Two tracks on one face become the one that wears the identity, else the older."""
    kept: list[T] = []
    for track in sorted(tracks, key=lambda t: (not t.chosen, t.track_id)):
        if not any(coincides(track.box, other.box) for other in kept):
            kept.append(track)
    return kept


def choose(tracks: Sequence[T], vanished: VanishedFaces, *, max_faces: int, preferred: Collection[int] = ()) -> list[T]:
    """Mark the largest as chosen, with hysteresis, the place of one just lost kept for it; returns those to follow on.

    Tracks whose ids are `preferred` come before larger ones.

    What is more than can be followed is remembered as vanished, so that it is blurred where it was.
    """
    ranked = sorted(tracks, key=lambda track: (track.track_id not in preferred, -_weight(track)))
    places = max(0, max_faces - vanished.reserved)
    for rank, track in enumerate(ranked):
        track.chosen = rank < places
    most = max_faces + SPARE_TRACKS
    for track in ranked[most:]:
        vanished.remember(VanishedFace(box=track.box, time_s=track.seen_s))
    return ranked[:most]


def _weight(track: RankedTrack) -> float:
    return float(area(track.box)) * (KEEP_FACTOR**2 if track.chosen else 1.0)
