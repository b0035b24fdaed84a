"""Who wears what when several people are in the picture, with a small SCRFD and a small ArcFace on recorded faces.

People cross, leave, return, and take each other's place: nobody ever wears the part of somebody else, and who is not
surely known wears nothing.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from models import face_templates
from models.arcface import ArcFace
from models.carried_faces import CarriedFace, CarriedFaces, FaceCarrier
from models.engines import Frame
from models.face_casting import Bare, Part
from models.mapped_faces import RECHECK_DETECTIONS, MappedFaces, Person
from models.runtime import NetworkError
from models.scrfd import Scrfd
from tests.asset_frames import picture, with_assets
from tests.neural_parts import FaultyGraph, detector_graph, encoder, encoder_graph
from tests.two_heads import Who, head, scene

FPS = 25
FACE_HALF_PX = 60
LATENTS: dict[Who, Part] = {"ada": np.full(512, 1.0, np.float32), "bob": np.full(512, 2.0, np.float32)}
OTHERS = np.full(512, 3.0, np.float32)
THRESHOLD = 0.45

Scene = tuple[dict[Who, float], dict[Who, float]]
"""Where the middles of the people are, pixels, the later in front; and their scales."""


@functools.cache
def person(who: Who) -> Person:
    """A line of a mapping: Ada's reference is of another recording, Bob's of the same."""
    shot = picture("grid_lrwp9a.mpg@5") if who == "ada" else head("bob", 60)
    (found,) = Scrfd(detector_graph()).detect(shot)
    (embedding,) = encoder().embed(shot, [found.points])
    latent = LATENTS[who]
    assert isinstance(latent, np.ndarray)
    return Person(embedding=embedding, wears=latent, threshold=THRESHOLD)


@dataclass(kw_only=True)
class Watched:
    """Parts by person and frame: what each wore while their face was found, None for nothing."""

    worn: dict[Who, list[tuple[int, Part]]] = field(default_factory=lambda: {"ada": [], "bob": []})
    runs: int = 0

    def share(self, who: Who, part: Part, frames: range) -> float:
        """In which share of some frames somebody wore a part."""
        return sum(one is part for at, one in self.worn[who] if at in frames) / len(frames)

    def ever(self, who: Who, part: Part) -> bool:
        """Whether somebody wore a part in any frame."""
        return any(one is part for _, one in self.worn[who])


def shown_at(x_px: float, places: Mapping[Who, float], scales: Mapping[Who, float]) -> Who | None:
    """Whose face is seen there: of two the one in front."""
    here = [who for who, middle in places.items() if abs(middle - x_px) < FACE_HALF_PX * scales.get(who, 1.0)]
    return here[-1] if here else None


def watch(
    scenes: Sequence[Scene], people: Sequence[Who] = ("ada", "bob"), *, max_faces: int = 2, others: Part = None
) -> Watched:
    """Play scenes to a mapping."""
    counter = FaultyGraph(encoder_graph())
    casting = MappedFaces(ArcFace(counter), [person(who) for who in people], others=others, lock=True)
    carrier = FaceCarrier(Scrfd(detector_graph()), max_faces=max_faces)
    watched = Watched()
    for index, (places, scales) in enumerate(scenes):
        frame = scene(index, places, scales)
        seen = carrier.update(frame, index / FPS)
        if not seen.trusted:
            continue
        parts = casting.cast(frame, seen)
        carrier.prefer(casting.preferred())
        for face, part in zip((*seen.faces, *seen.spares), parts, strict=True):
            who = shown_at(float(face.points[:, 0].mean()), places, scales)
            if who is not None:
                watched.worn[who].append((index, part))
    watched.runs = counter.runs
    return watched


def still(count: int, **places: float) -> list[Scene]:
    """People who do not move."""
    return [({who: x for who, x in places.items()}, {})] * count  # type: ignore[misc]


def walk(who: Who, start: float, end: float, count: int, **stay: float) -> list[Scene]:
    """One walks in front of those who stay."""
    return [({**stay, who: float(x)}, {}) for x in np.linspace(start, end, count)]  # type: ignore[dict-item]


@with_assets
def test_each_of_two_people_wears_their_own_part_from_the_first_frame() -> None:
    """Recognised at once, and looked at again once a second: not in every frame, and both in one run."""
    watched = watch(still(50, ada=180, bob=540))
    assert [len(worn) for worn in watched.worn.values()] == [50, 50]
    assert watched.share("ada", LATENTS["ada"], range(50)) == 1
    assert watched.share("bob", LATENTS["bob"], range(50)) == 1
    assert watched.runs <= 1 + 50 // (5 * RECHECK_DETECTIONS)


@with_assets
def test_people_who_cross_keep_their_own_parts() -> None:
    """Ada walks before Bob to his other side and back; neither ever wears the other's part, both wear theirs again."""
    scenes = [
        *still(10, ada=150, bob=400),
        *walk("ada", 150, 600, 40, bob=400),
        *still(20, bob=400, ada=600),
        *walk("ada", 600, 150, 25, bob=400),
        *still(20, bob=400, ada=150),
    ]
    watched = watch(scenes)
    assert not watched.ever("ada", LATENTS["bob"])
    assert not watched.ever("bob", LATENTS["ada"])
    assert watched.share("ada", LATENTS["ada"], range(55, 70)) >= 0.9
    assert watched.share("bob", LATENTS["bob"], range(60, 70)) >= 0.9
    assert watched.share("ada", LATENTS["ada"], range(105, 115)) >= 0.9
    assert watched.share("bob", LATENTS["bob"], range(105, 115)) >= 0.9


@with_assets
@pytest.mark.parametrize("gone", [10, 40])
def test_who_leaves_and_returns_wears_the_same_part(gone: int) -> None:
    """Within the second in which a track is remembered, and after it."""
    scenes = [
        *still(8, bob=540, ada=180),
        *walk("ada", 180, -120, 12, bob=540),
        *still(gone, bob=540),
        *walk("ada", -120, 180, 12, bob=540),
        *still(15, bob=540, ada=180),
    ]
    watched = watch(scenes)
    assert not watched.ever("ada", LATENTS["bob"])
    assert watched.share("ada", LATENTS["ada"], range(len(scenes) - 10, len(scenes))) == 1


@with_assets
@pytest.mark.parametrize("pause", [0])
def test_who_takes_the_place_of_somebody_wears_nothing_of_theirs(pause: int) -> None:
    """A cut from Ada to Bob on the very same spot: he is nobody of this mapping, and wears nothing for one frame."""
    scenes = [*still(20, ada=360), *still(pause), *still(40, bob=360)]
    watched = watch(scenes, ["ada"], max_faces=1)
    assert watched.share("ada", LATENTS["ada"], range(20)) == 1
    assert not watched.ever("bob", LATENTS["ada"])


@with_assets
@pytest.mark.parametrize("others", [None, OTHERS, Bare.UNTOUCHED], ids=["blurred", "swapped", "untouched"])
def test_strangers_are_blurred_until_it_is_sure_that_they_are_strangers(others: Part) -> None:
    """Then they have the part of others: who only may be somebody of the mapping never does."""
    watched = watch(still(45, ada=180, bob=540), ["ada"], others=others)
    assert watched.share("ada", LATENTS["ada"], range(45)) == 1
    assert watched.share("bob", None, range(10)) == 1
    assert watched.share("bob", others, range(20, 45)) == 1


@with_assets
def test_with_one_place_it_is_of_whom_the_mapping_names_however_small() -> None:
    """A stranger in front, twice as large, is blurred."""
    scenes: list[Scene] = [({"ada": 200, "bob": 500}, {"ada": 0.6})] * 20
    watched = watch(scenes, ["ada"], max_faces=1, others=OTHERS)
    assert watched.share("ada", LATENTS["ada"], range(3, 20)) == 1
    assert watched.share("bob", None, range(3, 20)) == 1


def carried(spell: int, **changes: object) -> CarriedFace:
    """A face where Ada's is in `scene`."""
    (found,) = Scrfd(detector_graph()).detect(scene(0, {"ada": 180}))
    face = CarriedFace(track_id=1, spell=spell, points=found.points, box=found.box, confidence=0.9, stable=True)
    return replace(face, **changes)  # type: ignore[arg-type]


def seen_alone(face: CarriedFace) -> CarriedFaces:
    """A frame with one face."""
    return CarriedFaces(faces=(face,), others=(), trusted=True, searched=True)


@with_assets
@pytest.mark.parametrize(("lock", "worn"), [(True, [1, 1, 0]), (False, [1, 0, 0])])
def test_a_track_that_another_person_took_over_loses_its_part(lock: bool, worn: list[int]) -> None:
    """The tracker did not notice: after two contradicting checks in a row with a lock, after one without."""
    casting = MappedFaces(encoder(), [person("ada")], others=None, lock=lock)
    first = carried(1)
    pictures: list[Frame] = [scene(0, {"ada": 180}), *[_bob_at(first)] * (RECHECK_DETECTIONS + 1)]
    parts = [casting.cast(frame, seen_alone(first))[0] is LATENTS["ada"] for frame in pictures]
    assert [int(part) for part in (parts[0], *parts[-2:])] == worn


@functools.cache
def _bob() -> Frame:
    return scene(0, {"bob": 180})


def _bob_at(face: CarriedFace) -> Frame:
    """Bob, moved so that his points lie where a face's are."""
    (found,) = Scrfd(detector_graph()).detect(_bob())
    moved = face_templates.similarity(found.points, face.points)
    return np.asarray(cv2.warpAffine(_bob(), moved, _bob().shape[1::-1]), np.uint8)


@with_assets
def test_after_a_loss_a_face_wears_nothing_that_is_not_confirmed() -> None:
    """A new spell of the same track starts from nothing: turned away, too small or unsure it is not even looked at."""
    casting = MappedFaces(encoder(), [person("ada")], others=OTHERS, lock=True)
    frame, face = scene(0, {"ada": 180}), carried(1)
    assert casting.cast(frame, seen_alone(face))[0] is LATENTS["ada"]
    turned = face.points.copy()
    turned[2, 0] += 40
    unclear: list[dict[str, object]] = [{"points": turned}, {"confidence": 0.3}, {"box": face.box / 8}]
    for spell, change in enumerate(unclear, start=2):
        for _ in range(9):
            assert casting.cast(frame, seen_alone(carried(spell, **change)))[0] is None
    assert casting.cast(frame, seen_alone(carried(9)))[0] is LATENTS["ada"]


@with_assets
def test_a_person_is_in_a_picture_once() -> None:
    """A photograph of Ada on the wall: who came first keeps the part, the other is blurred."""
    casting = MappedFaces(encoder(), [person("ada")], others=None, lock=True)
    frame, face = scene(0, {"ada": 180}), carried(1)
    casting.cast(frame, seen_alone(face))
    far = replace(carried(2), track_id=2, box=face.box + np.array([300, 0, 300, 0], np.float32))
    for _ in range(8):
        seen = CarriedFaces(faces=(far, face), others=(), trusted=True, searched=True)
        assert [part is LATENTS["ada"] for part in casting.cast(frame, seen)] == [False, True]


def two(ada: CarriedFace, bob: CarriedFace, *, searched: bool) -> CarriedFaces:
    """A frame with both."""
    return CarriedFaces(faces=(ada, bob), others=(), trusted=True, searched=searched)


def pair() -> tuple[CarriedFace, CarriedFace]:
    """Ada at the left, Bob at the right, as in `scene(0, {"ada": 180, "bob": 540})`."""
    found = Scrfd(detector_graph()).detect(scene(0, {"ada": 180, "bob": 540}))
    left, right = sorted(found, key=lambda face: float(face.box[0]))
    ada = replace(carried(1), points=left.points, box=left.box)
    return ada, replace(ada, track_id=2, spell=2, points=right.points, box=right.box)


def wide(face: CarriedFace, side_px: float) -> CarriedFace:
    """The same with a box so much wider."""
    return replace(face, box=face.box + np.array([-side_px, 0, side_px, 0], np.float32))


@with_assets
def test_faces_that_touch_are_looked_at_in_each_frame() -> None:
    """Two tracks change places between detections: neither shows the other's part for one frame."""
    casting = MappedFaces(encoder(), [person("ada"), person("bob")], others=OTHERS, lock=True)
    ada, bob = pair()
    assert casting.cast(scene(0, {"ada": 180, "bob": 540}), two(ada, bob, searched=True))[0] is LATENTS["ada"]
    swapped = scene(0, {"bob": 180, "ada": 540})
    # without touching nobody looks before the next detections: that is the price of not looking in each frame
    assert casting.cast(swapped, two(ada, bob, searched=False))[0] is LATENTS["ada"]
    parts = casting.cast(swapped, two(wide(ada, 140), wide(bob, 140), searched=False))
    assert [part is None for part in parts] == [True, True]


@with_assets
def test_who_was_near_somebody_who_vanished_is_looked_at_before_anything_is_shown() -> None:
    """The track that went on may follow the one who is in front now."""
    casting = MappedFaces(encoder(), [person("ada"), person("bob")], others=OTHERS, lock=True)
    ada, bob = pair()
    casting.cast(scene(0, {"ada": 180, "bob": 540}), two(wide(ada, 90), wide(bob, 90), searched=True))
    alone = CarriedFaces(faces=(ada,), others=(), trusted=True, searched=False)
    assert casting.cast(scene(0, {"bob": 180}), alone)[0] is None


@with_assets
def test_two_references_that_look_alike_are_nobody() -> None:
    """Whose part would it be?"""
    casting = MappedFaces(encoder(), [person("ada"), person("ada")], others=OTHERS, lock=True)
    assert casting.cast(scene(0, {"ada": 180}), seen_alone(carried(1)))[0] is None


@with_assets
@pytest.mark.parametrize("fault", ["raises", "not finite"])
def test_an_identity_network_that_fails_shows_nobody(fault: str) -> None:
    """It is the frame that is lost, by the error of the network."""
    broken = ArcFace(FaultyGraph(encoder_graph(), fault, first=1, last=99))
    casting = MappedFaces(broken, [person("ada")], others=Bare.UNTOUCHED, lock=True)
    with pytest.raises(NetworkError):
        casting.cast(scene(0, {"ada": 180}), seen_alone(carried(1)))


def test_a_mapping_of_nobody_needs_no_network() -> None:
    """Everybody is one of the others; a spare has no place to wear anything."""
    face = CarriedFace(
        track_id=1, points=np.zeros((5, 2), np.float32), box=np.zeros(4, np.float32), confidence=0.9, stable=True
    )
    seen = CarriedFaces(faces=(face,), others=(face.box,), trusted=True, searched=True, spares=(face,))
    for others, parts in ((None, [None, None]), (Bare.UNTOUCHED, [Bare.UNTOUCHED] * 2), (OTHERS, [OTHERS, None])):
        casting = MappedFaces(None, [], others=others, lock=True)  # type: ignore[arg-type]
        assert all(
            one is other for one, other in zip(casting.cast(np.zeros((9, 9, 3), np.uint8), seen), parts, strict=True)
        )
