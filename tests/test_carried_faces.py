"""Faces carried through recorded clips, with a small SCRFD: steady, seldom searched for, and never lost sight of."""

import functools

import cv2
import numpy as np
import pytest

from models.carried_faces import CarriedFaces, FaceCarrier
from models.engines import Frame
from models.geometry import Floats, grown, iou
from models.inswapper import SIZE_PX, alignment
from models.scrfd import FoundFace, Scrfd, largest
from tests.asset_frames import CLIPS, frames, with_assets
from tests.media import covered_face, second_person_walks_in
from tests.neural_parts import FaultyGraph, detector_graph
from tests.two_heads import Who, scene

FPS = 25
STEADY_CLIPS = CLIPS[:4]


def carrier(graph: FaultyGraph | None = None, *, max_faces: int = 1) -> FaceCarrier:
    """One call."""
    return FaceCarrier(Scrfd(graph or detector_graph()), max_faces=max_faces)


def carried(clip: tuple[Frame, ...], one: FaceCarrier) -> list[CarriedFaces]:
    """A clip at its own pace."""
    return [one.update(frame, 50.0 + index / FPS) for index, frame in enumerate(clip)]


@functools.cache
def detected(name: str) -> list[FoundFace]:
    """The largest face of every frame, by the detector alone."""
    detector = Scrfd(detector_graph())
    return [largest(detector.detect(frame), 1)[0] for frame in frames(name)]


@functools.cache
def followed(name: str) -> list[CarriedFaces]:
    """A clip of one person, carried."""
    return carried(frames(name), carrier())


def pasted_corners(points: Floats) -> Floats:
    """Where the corners of the swapped region go, (4, 2) pixels of the frame."""
    back = cv2.invertAffineTransform(alignment(points))
    ends = np.array([[0, 0], [SIZE_PX, 0], [0, SIZE_PX], [SIZE_PX, SIZE_PX]], np.float64)
    return np.asarray(ends @ back[:, :2].T + back[:, 2], np.float32)


def jitter_px(corners: list[Floats]) -> float:
    """Mean acceleration of the corners, pixels a frame a frame: movement cancels, trembling stays."""
    bends = np.diff(np.stack(corners), n=2, axis=0)
    return float(np.hypot(bends[..., 0], bends[..., 1]).mean())


@with_assets
@pytest.mark.parametrize("name", STEADY_CLIPS)
def test_carried_points_are_steady_and_true(name: str) -> None:
    """At 360 x 288: median deviation from detection of every frame <= 1.5 px, jitter of the pasted region less than a
    half of that detection's, the detector called on at most a quarter of the frames."""
    seen = followed(name)
    assert all(len(one.faces) == 1 and one.trusted for one in seen)
    ours = [one.faces[0].points for one in seen]
    reference = [face.points for face in detected(name)]
    apart_px = np.hypot(*(np.stack(ours) - np.stack(reference)).transpose(2, 0, 1))
    assert np.median(apart_px) <= 1.5
    assert jitter_px([*map(pasted_corners, ours)]) < 0.5 * jitter_px([*map(pasted_corners, reference)])
    assert np.mean([one.searched for one in seen]) <= 0.25


@with_assets
def test_an_empty_place_is_searched_in_turn_and_who_comes_back_at_once() -> None:
    """Nobody is there, so that nothing is shown: both sizes in every frame would cost more than a face does."""
    away = [scene(index, {}) for index in range(30)]
    seen = carried((*away, *[scene(index, {"ada": 360}) for index in range(2)]), carrier())
    assert [at for at, one in enumerate(seen) if one.searched] == [0, 5, 10, 15, 20, 25, 30]
    assert [len(one.faces) for one in seen[29:]] == [0, 1, 1]
    one = carrier()
    assert [one.update(away[0], at_s).searched for at_s in (0.0, 0.04, 0.7, 0.74)] == [True, False, True, False]


@with_assets
def test_two_people_keep_their_tracks() -> None:
    """Each in their half from the first frame to the last; with one place the other is always blurred whole."""
    seen = carried(frames("grid_two_people.mp4"), carrier(max_faces=2))
    assert {tuple(sorted(face.track_id for face in one.faces)) for one in seen} == {(1, 2)}
    halves = {(face.track_id, bool(face.points[:, 0].mean() > 360)) for one in seen for face in one.faces}
    assert len(halves) == 2
    for one in carried(frames("grid_two_people.mp4"), carrier()):
        assert len(one.faces) == 1
        assert len(one.others) == 1
        assert float(iou(one.others[0], one.faces[0].box[None])[0]) == 0


@with_assets
def test_a_face_behind_something_is_distrusted_and_comes_back_as_itself() -> None:
    """While its owner cannot be seen no frame of the first second is trusted; then the same track goes on, or a new one
    after the second in which it is remembered."""
    clip = covered_face("man_a", cover_s=0.6)
    seen = carried(clip.frames, carrier())
    hidden = [one for one, faces in zip(seen, clip.faces, strict=True) if not faces]
    assert len(hidden) == 15
    assert all(one.faces[0].confidence < 0.85 if one.faces else not one.trusted for one in hidden)
    assert sum(one.trusted for one in hidden) <= 13
    assert seen[-1].trusted
    assert [face.track_id for face in seen[-1].faces] == [seen[0].faces[0].track_id]


@with_assets
def test_who_walks_in_is_blurred_from_the_first_frame_that_shows_a_face() -> None:
    """The wearer keeps the identity; every detectable newcomer is covered by a box to blur."""
    clip = second_person_walks_in()
    seen = carried(clip.frames, carrier())
    assert {face.track_id for one in seen for face in one.faces} == {1}
    for one, boxes in zip(seen[45:], clip.faces[45:], strict=True):
        newcomers = np.array(boxes[1:], np.float32).reshape(-1, 4)
        for box in newcomers:
            middle = (box[:2] + box[2:]) / 2
            assert any((other[:2] < middle).all() and (middle < other[2:]).all() for other in one.others)


def covers(seen: CarriedFaces, box: tuple[float, ...]) -> bool:
    """Whether the middle of a box is to be blurred."""
    x_px, y_px = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(other[0] < x_px < other[2] and other[1] < y_px < other[3] for other in seen.others)


@with_assets
@pytest.mark.parametrize("comes", [0, 12, 14])
def test_a_bystander_too_small_for_the_first_size_is_blurred_at_once(comes: int) -> None:
    """In a call's first frame, and whenever the picture changed, due or not: the second size looks as well."""
    alone, together = scene(0, {"ada": 200}), scene(0, {"ada": 200, "bob": 560}, {"bob": 0.25})
    seen = carried((*[alone] * comes, *[together] * 3), carrier())
    found = [(face.box > 300).any() for face in Scrfd(detector_graph()).detect_at(together, 320, min_score=0.3)]
    assert found == [False]
    assert [covers(one, (544, 127, 573, 170)) for one in seen[comes:]] == [True] * 3


@with_assets
@pytest.mark.parametrize("fps", [3.5, 15, 25])
def test_a_bystander_who_is_nobody_s_track_stays_blurred(fps: float) -> None:
    """Found by the second size only, and with a score too low to be followed: looked for as long as remembered."""
    frame, one = scene(0, {"ada": 200, "bob": 560}, {"bob": 0.21}), carrier()
    seen = [one.update(frame, index / fps) for index in range(45)]
    assert [faces.spares for faces in seen] == [()] * 45
    assert all(covers(faces, (549, 127, 573, 165)) for faces in seen)
    assert np.mean([faces.searched for faces in seen]) <= 0.25


class LosesSight:
    """A detector that finds nobody in the left half once it is `blind`."""

    def __init__(self) -> None:
        self._inner = Scrfd(detector_graph())
        self.sizes_px = self._inner.sizes_px
        self.blind = False

    def detect_at(self, frame: Frame, size_px: int, *, min_score: float) -> list[FoundFace]:
        """What is found, without those."""
        found = self._inner.detect_at(frame, size_px, min_score=min_score)
        return [face for face in found if not self.blind or face.box[0] > 360]


@with_assets
@pytest.mark.parametrize("left", [False, True])
def test_who_is_no_longer_found_is_gone_only_when_their_place_has_changed(left: bool) -> None:
    """Still there beside somebody else they would be raw: no frame is trusted. When they left the other is shown."""
    detector = LosesSight()
    one = FaceCarrier(detector, max_faces=1)  # type: ignore[arg-type]
    both: dict[Who, float] = {"ada": 200, "bob": 560}
    smaller: dict[Who, float] = {"bob": 0.7}
    here = [one.update(scene(index, both, smaller), index / 10) for index in range(4)]
    assert [(len(seen.faces), len(seen.spares)) for seen in here] == [(1, 1)] * 4
    detector.blind = True
    then = [
        one.update(scene(index, {"bob": 560} if left else both, smaller), index / 10).trusted for index in range(4, 30)
    ]
    assert not any(then[6:10])
    assert then[-8:] == [left] * 8


@with_assets
def test_a_detector_that_misses_is_asked_each_frame_and_then_not_believed() -> None:
    """The flow carries the face half a second without it; then nothing is trusted; nobody is swapped on hearsay."""
    clip = frames("grid_bbaf2n.mpg")
    blind = FaultyGraph(detector_graph(), "sees nothing", first=2, last=10_000)
    seen = carried(clip[:40], carrier(blind))
    assert [one.searched for one in seen[:10]] == [True, *[False] * 4, *[True] * 5]
    assert all(one.faces and one.trusted for one in seen[:13])
    lost = [index for index, one in enumerate(seen) if not one.trusted]
    assert 13 <= lost[0] <= 14
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert len(lost) >= 24
    assert not any(one.faces for one in seen[lost[0] :])


@with_assets
def test_another_scene_is_searched_at_once() -> None:
    """A cut to two other people between two detections: no frame goes by with points of the old scene."""
    first = [cv2.resize(frame, (720, 288)) for frame in frames("grid_lrwp9a.mpg")[:8]]
    cut = [*first, *frames("grid_two_people.mp4")[:8]]
    seen = carried(tuple(np.asarray(frame, np.uint8) for frame in cut), carrier())
    assert seen[8].searched
    known = detected("grid_two_people.mp4")[0]
    for one in seen[8:]:
        where = [*(face.box for face in one.faces), *one.others]
        assert not one.trusted or float(iou(known.box, np.stack(where)).max()) > 0.3


@with_assets
def test_a_pause_and_another_size_start_anew() -> None:
    """The face is found in that very frame, under its old number; time that runs back forgets it."""
    one = carrier()
    clip = frames("grid_bbaf2n.mpg")
    first = one.update(clip[0], 1.0)
    half = np.asarray(cv2.resize(clip[1], None, fx=0.5, fy=0.5), np.uint8)
    for at_s, frame in ((1.04, half), (1.9, half)):
        seen = one.update(frame, at_s)
        assert seen.searched
        assert [face.track_id for face in seen.faces] == [first.faces[0].track_id]
    assert one.update(half, 0.5).faces[0].track_id == 2


@with_assets
def test_stability_is_the_specification_s() -> None:
    """Three detections of 0.85 and more: not before the eleventh frame."""
    seen = carried(frames("grid_two_people.mp4")[:12], carrier())
    assert [one.faces[0].stable for one in seen] == [False] * 10 + [True] * 2


@with_assets
def test_who_has_no_place_is_followed_as_a_spare_until_preferred() -> None:
    """The smaller face has no place of one; preferred it takes it, and the other one is the spare."""
    one, clip = carrier(), frames("grid_two_people.mp4")
    first = one.update(clip[0], 0.0)
    assert (len(first.faces), len(first.spares)) == (1, 1)
    small = first.spares[0].track_id
    np.testing.assert_array_equal(first.others[0], grown(first.spares[0].box, 0.25))
    one.prefer(frozenset({small}))
    then = one.update(clip[1], 0.04)
    assert ([face.track_id for face in then.faces], len(then.spares)) == ([small], 1)


@with_assets
def test_a_face_that_was_lost_comes_back_in_another_spell() -> None:
    """The track goes on, its spell does not: somebody else may have come into its place."""
    clip = covered_face("man_a", cover_s=0.4)
    seen = [faces for one in carried(clip.frames, carrier()) for faces in one.faces]
    assert {face.track_id for face in seen} == {seen[0].track_id}
    assert seen[0].spell < seen[-1].spell
    spells = [face.spell for face in seen]
    assert spells == sorted(spells)
