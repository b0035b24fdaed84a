"""Somebody who has to be covered is never taken for somebody who is left alone, whatever the tracks do.

Ada is mapped, everybody else is left alone (an explicit grant). Frames are painted with who is where, a stand-in reads
it in place of the identity network: tracks can change places in one frame, and a face can be hard to recognise.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from models import face_templates
from models.carried_faces import CarriedFace, CarriedFaces
from models.engines import Frame
from models.face_casting import Bare, Part
from models.geometry import Floats
from models.mapped_faces import MappedFaces, Person

Who = Literal["ada", "bob", "unclear"]
COLOUR: dict[Who, int] = {"ada": 10, "bob": 20, "unclear": 30}
FACE_PX = 112
PAINTED_PX = 15
EVERY = 5
"""Frames from one detection to the next."""


class ReadsColours:
    """The identity network: Ada is the first axis, Bob the second; an unclear face resembles nobody."""

    def embed(self, frame: Frame, points: Sequence[Floats]) -> Floats:
        """One row a face."""
        colours = [int(frame[0, int(where[:, 0].mean()), 0]) for where in points]
        return np.eye(512, dtype=np.float32)[[list(COLOUR.values()).index(colour) for colour in colours]]


def ada(wears: Part = None) -> Person:
    """She is to be blurred, or to wear something."""
    assert not isinstance(wears, Bare)
    return Person(embedding=np.eye(512, dtype=np.float32)[0], wears=wears, threshold=0.45)


class Play:
    """One casting, fed frame by frame: a place across (px) for each track, and who is there."""

    def __init__(self, wears: Part = None, others: Part = Bare.UNTOUCHED) -> None:
        encoder: Any = ReadsColours()
        self._casting = MappedFaces(encoder, [ada(wears)], others=others, lock=True)
        self._frames = 0

    def frame(self, *faces: tuple[int, int, Who], searched: bool | None = None, **changes: Any) -> dict[int, Part]:
        """The part of each track of `(track, middle, who)`; a track's spell is its number, or a thousand less."""
        picture = np.zeros((200, 1200, 3), np.uint8)
        for _, middle, who in faces:
            picture[:, middle - PAINTED_PX : middle + PAINTED_PX] = COLOUR[who]
        carried = tuple(face_at(track, middle, **changes) for track, middle, _ in faces)
        due = self._frames % EVERY == 0 if searched is None else searched
        self._frames += 1
        parts = self._casting.cast(picture, CarriedFaces(faces=carried, others=(), trusted=True, searched=due))
        return {track: part for (track, *_), part in zip(faces, parts, strict=True)}

    def frames(self, count: int, *faces: tuple[int, int, Who], **changes: Any) -> list[dict[int, Part]]:
        """The same for some frames in which nobody moves."""
        return [self.frame(*faces, **changes) for _ in range(count)]


def face_at(track: int, middle_px: int, *, confidence: float = 0.9, turned: bool = False) -> CarriedFace:
    """A face of `FACE_PX`; `turned` too far for the identity network."""
    points = np.asarray(face_templates.arcface_template(FACE_PX), np.float32)
    points[:, 0] += middle_px - FACE_PX / 2
    points[:, 1] += 50
    points[2, 0] += 40 * turned
    half = FACE_PX / 2
    box = np.array([middle_px - half, 50, middle_px + half, 150], np.float32)
    return CarriedFace(
        track_id=track % 1000, spell=track, points=points, box=box, confidence=confidence, stable=confidence > 0.85
    )


def both_known(play: Play) -> None:
    """Ada at the left on track 1, Bob at the right on track 2, each known."""
    seen = play.frames(15, (1, 200, "ada"), (2, 600, "bob"))
    assert seen[-1] == {1: None, 2: Bare.UNTOUCHED}


@pytest.mark.parametrize("searched", [False, True, None], ids=["no detection", "detections", "every fifth"])
@pytest.mark.parametrize("hard", ["ada", "unclear"])
def test_tracks_that_change_places_in_a_crossing_leave_nobody_bare_who_is_covered(
    searched: bool | None, hard: Who
) -> None:
    """In a few frames, Ada recognised or hard to recognise while she passes: she ends on Bob's track."""
    play = Play()
    both_known(play)
    crossing = [
        play.frame((1, 530, "ada"), (2, 600, "bob"), searched=searched),
        *play.frames(4, (1, 570, hard), (2, 600, hard), searched=searched),
        play.frame((1, 600, "bob"), (2, 650, hard), searched=searched),
    ]
    assert all(parts[2] is None for parts in crossing[1:])
    parted = play.frames(20, (1, 400, "bob"), (2, 800, "ada"))
    assert [parts[2] for parts in parted] == [None] * 20
    assert parted[-1][1] is Bare.UNTOUCHED


@pytest.mark.parametrize("wears", [None, np.ones(512, np.float32)], ids=["blurred", "swapped"])
def test_who_vanishes_and_comes_out_on_another_s_track_is_covered_at_once(wears: Part) -> None:
    """From one frame to the next, at a low rate: the boxes never came near each other."""
    play = Play(wears)
    play.frames(15, (1, 200, "ada"), (2, 900, "bob"))
    taken = [play.frame((2, 900, "unclear"), searched=False), *play.frames(10, (2, 900, "ada"))]
    assert all(parts[2] is not Bare.UNTOUCHED for parts in taken)
    assert taken[-1][2] is wears


def test_who_takes_a_place_unnoticed_is_covered_at_the_next_detection() -> None:
    """Nothing vanished, nobody touched: every detection looks at who is left alone."""
    play = Play()
    play.frames(16, (2, 600, "bob"))
    parts = [play.frame((2, 600, "ada"), searched=at == EVERY - 1)[2] for at in range(2 * EVERY)]
    assert parts == [Bare.UNTOUCHED] * (EVERY - 1) + [None] * (EVERY + 1)


@pytest.mark.parametrize("track", [1, 1001], ids=["followed on", "lost and found"])
def test_who_was_known_is_not_a_stranger_after_hiding_their_face(track: int) -> None:
    """A hand before it for two seconds, whether the track is lost over it or not."""
    play = Play()
    both_known(play)
    hidden = play.frames(50, (track, 200, "unclear"), (2, 600, "bob"))
    shown = play.frames(10, (track, 200, "ada"), (2, 600, "bob"))
    assert all(parts[track] is None for parts in (*hidden, *shown))
    assert shown[-1][2] is Bare.UNTOUCHED


def test_a_stranger_on_the_track_of_who_was_known_is_left_alone_in_the_end() -> None:
    """Ada got up, Bob sat down in her place within the second: five seconds of nobody but him say so."""
    play = Play()
    both_known(play)
    seen = play.frames(140, (1001, 200, "bob"))
    assert seen[30][1001] is None
    assert seen[-1][1001] is Bare.UNTOUCHED


def test_three_frames_in_a_row_are_one_look() -> None:
    """Between two detections a face hardly changes: what is unclear in one frame is so in the next."""
    play = Play()
    seen = [*play.frames(EVERY, (2, 600, "unclear"), (3, 640, "unclear")), *play.frames(5, (2, 600, "ada"))]
    assert all(parts[2] is None for parts in seen)


@pytest.mark.parametrize("change", [{"confidence": 0.3}, {"turned": True}], ids=["doubtful", "turned away"])
def test_a_face_of_which_nobody_can_say_whose_it_is_is_not_left_alone(change: dict[str, Any]) -> None:
    """A place that is doubtful at once, a face that cannot be recognised after a second: then anybody may be there."""
    play = Play()
    play.frames(15, (2, 600, "bob"))
    assert play.frames(36, (2, 600, "bob"), **change)[-1][2] is None
    assert play.frames(15, (2, 600, "bob"))[-1][2] is Bare.UNTOUCHED
    if "confidence" in change:
        assert play.frame((2, 600, "bob"), **change)[2] is None


def test_who_touches_somebody_known_in_this_very_frame_is_left_alone() -> None:
    """They sit cheek to cheek: nobody is in a picture twice, so that Bob is not Ada."""
    play = Play()
    both_known(play)
    assert all(parts[2] is Bare.UNTOUCHED for parts in play.frames(12, (1, 530, "ada"), (2, 600, "bob")))
    assert play.frame((1, 530, "unclear"), (2, 600, "bob"))[2] is None


def test_two_strangers_who_touch_are_left_alone() -> None:
    """Neither is anybody of the mapping."""
    play = Play()
    play.frames(15, (2, 600, "bob"), (3, 900, "bob"))
    parts = play.frames(10, (2, 600, "bob"), (3, 680, "bob"))
    assert all(list(one.values()) == [Bare.UNTOUCHED] * 2 for one in parts)
