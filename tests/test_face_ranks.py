"""Who wears the identity: the largest, steadily."""

from dataclasses import dataclass

import numpy as np

from models.face_ranks import choose, merged
from models.geometry import Floats
from models.vanished_faces import VanishedFace, VanishedFaces


@dataclass(eq=False)
class Track:
    """A square face."""

    track_id: int
    x_px: float
    side_px: float
    chosen: bool = False
    seen_s: float = 5.0

    @property
    def box(self) -> Floats:
        """Where it is."""
        return np.array([self.x_px, 0, self.x_px + self.side_px, self.side_px], np.float32)


def test_the_largest_wear_the_identity() -> None:
    """As many as asked for."""
    tracks = [Track(1, 0, 50), Track(2, 100, 90), Track(3, 300, 70)]
    choose(tracks, VanishedFaces(), max_faces=2)
    assert [track.track_id for track in tracks if track.chosen] == [2, 3]


def test_a_newcomer_takes_over_only_when_much_larger() -> None:
    """A fifth larger does not, a half larger does."""
    wearer = Track(1, 0, 100, chosen=True)
    choose([wearer, Track(2, 300, 120)], VanishedFaces(), max_faces=1)
    assert wearer.chosen
    choose([wearer, Track(2, 300, 150)], VanishedFaces(), max_faces=1)
    assert not wearer.chosen


def test_the_place_of_a_wearer_just_lost_is_kept() -> None:
    """Nobody else inherits the identity while it may come back."""
    vanished = VanishedFaces()
    vanished.remember(VanishedFace(box=Track(9, 0, 80).box, time_s=5.0, track_id=9, chosen=True))
    other = Track(1, 300, 80)
    choose([other], vanished, max_faces=1)
    assert not other.chosen


def test_who_is_too_many_to_follow_is_blurred_where_it_was() -> None:
    """With one wearer and two spares the smallest of four is remembered as vanished."""
    vanished = VanishedFaces()
    tracks = [Track(number, 200 * number, 50 + 10 * number) for number in range(4)]
    followed = choose(tracks, vanished, max_faces=1)
    assert [track.track_id for track in followed] == [3, 2, 1]
    np.testing.assert_array_equal(vanished.boxes, [tracks[0].box])


def test_two_tracks_on_one_face_become_one() -> None:
    """The wearer stays, else the older; neighbours stay both."""
    assert [t.track_id for t in merged([Track(1, 0, 100), Track(2, 5, 100, chosen=True)])] == [2]
    assert [t.track_id for t in merged([Track(2, 5, 100), Track(1, 0, 100)])] == [1]
    assert len(merged([Track(1, 0, 100), Track(2, 120, 100)])) == 2


def test_who_is_preferred_has_a_place_before_who_is_larger() -> None:
    """Also before the one that had it."""
    small, large = Track(1, 0, 40), Track(2, 300, 160, chosen=True)
    choose([small, large], VanishedFaces(), max_faces=1, preferred={1})
    assert (small.chosen, large.chosen) == (True, False)
