"""The tracker on composed scenes, with the real networks: no face is raw, and the identity stays with its person."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import cv2
import numpy as np
import pytest

from models.catalog import FACE_DETECTOR, FACE_LANDMARKS
from models.engines import Frame
from models.face_detector import FaceDetector
from models.face_landmarks import FaceLandmarker, Landmarks
from models.face_tracker import FaceTracker, Tracks
from models.geometry import Floats, area, iou, overlap
from models.model_spec import ModelSpec
from models.runtime import LiteRTNetwork, Network, Tensor
from tests.media import Clip, covered_face, second_person_walks_in, talking_head
from tests.model_store import model_store
from tests.test_face_detector import astronaut, detector

FPS = 25
WIDTH_PX, HEIGHT_PX = 768, 512
Place = tuple[float, float, float]
"""Where a face is: centre x and y, and its side, in pixels of the scene."""


class CountingNetwork:
    """A real network, counted; `blind` makes a detector's network see nothing."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.input_shape, self.output_shapes = network.input_shape, network.output_shapes
        self.runs = 0
        self.blind = False

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Run, or find only what is very unlikely."""
        self.runs += 1
        outputs = self._network.run(tensor)
        return {name: np.full_like(out, -50) for name, out in outputs.items()} if self.blind else outputs


@cache
def network(spec: ModelSpec) -> LiteRTNetwork:
    """A network of the catalogue, loaded once."""
    return LiteRTNetwork(model_store().path(spec))


class Watch:
    """A tracker, its networks and a clock that ticks once a frame."""

    def __init__(self, *, max_faces: int = 1) -> None:
        self.detector = CountingNetwork(network(FACE_DETECTOR))
        self.landmarker = CountingNetwork(network(FACE_LANDMARKS))
        self.tracker = FaceTracker(FaceDetector(self.detector), FaceLandmarker(self.landmarker), max_faces=max_faces)
        self.time_s = 100.0

    def see(self, frame: Frame, after_s: float = 1 / FPS) -> Tracks:
        """One more frame."""
        self.time_s += after_s
        return self.tracker.update(frame, self.time_s)

    def all(self, frames: Iterable[Frame]) -> list[Tracks]:
        """Many more frames."""
        return [self.see(frame) for frame in frames]


def scene(*places: Place) -> Frame:
    """A grey room with the astronaut's head at each place."""
    frame = np.full((HEIGHT_PX, WIDTH_PX, 3), 120, np.uint8)
    head, mask = astronaut()[10:215, 130:320], np.zeros((205, 190), np.uint8)
    cv2.ellipse(mask, (94, 110), (70, 100), 0, 0, 360, 255, -1)
    for x_px, y_px, side_px in places:
        scale = side_px / 106
        move = np.array([[scale, 0, x_px - scale * 94], [0, scale, y_px - scale * 110]], np.float32)
        size = (WIDTH_PX, HEIGHT_PX)
        there = cv2.warpAffine(mask, move, size, flags=cv2.INTER_AREA) > 127
        frame[there] = cv2.warpAffine(head, move, size, flags=cv2.INTER_AREA)[there]
    return frame


def only_right(landmarker: FaceLandmarker) -> Callable[[Frame, Floats], Landmarks | None]:
    """Its `follow`, blind in the left half."""
    follow = landmarker.follow
    return lambda frame, points: follow(frame, points) if points[:, 0].mean() > WIDTH_PX / 2 else None


def hides(tracks: Tracks, box: Sequence[float]) -> bool:
    """Whether a face at `box` is swapped or blurred, or the frame is not to be shown at all."""
    face = np.array(box, np.float32)
    swapped = any(float(iou(face, tracked.box[None])[0]) > 0.25 for tracked in tracks.faces)
    blurred = any(float(overlap(face, other[None])[0]) > 0.8 * float(area(face)) for other in tracks.others)
    return swapped or blurred or not tracks.trusted or not tracks.faces


def middle(box: Floats) -> tuple[float, float]:
    """The centre of a box."""
    return float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2


def test_one_person_keeps_one_track_on_every_frame() -> None:
    """A talking head: one trusted face throughout, fresh on the first frame only, nothing to blur."""
    results = Watch().all(talking_head().frames[:60])
    assert all(len(tracks.faces) == 1 and not tracks.others and tracks.trusted for tracks in results)
    assert {tracks.faces[0].track_id for tracks in results} == {1}
    assert [tracks.faces[0].fresh for tracks in results] == [True] + [False] * 59
    assert all(tracks.faces[0].landmarks.shape == (468, 3) for tracks in results)


def test_detection_is_rare_and_landmarks_run_once_a_frame_on_a_quiet_face() -> None:
    """A still picture for fifty frames: a detection at every fifth, and the two extra looks of the first frame."""
    watch = Watch()
    watch.all([scene((300, 250, 120))] * 50)
    assert watch.detector.runs == 10
    assert watch.landmarker.runs == 49 + 2


def test_landmarks_stay_on_a_face_that_moves_fast() -> None:
    """Three face sides a second, back and forth: the box never leaves the face."""
    watch = Watch()
    for index in range(50):
        x_px = 384 + 200 * np.sin(index / FPS * 2.0)
        (face,) = watch.see(scene((x_px, 250, 120))).faces
        assert middle(face.box) == pytest.approx((x_px, 250), abs=15)


@pytest.mark.parametrize(
    "clip", [covered_face(), second_person_walks_in(), talking_head("man_b")], ids=lambda c: c.name
)
def test_every_face_is_accounted_for_in_every_frame(clip: Clip) -> None:
    """Wherever a clip shows a face, it is swapped or blurred, or the frame is withheld."""
    watch = Watch()
    for index, (frame, faces) in enumerate(zip(clip.frames, clip.faces, strict=True)):
        tracks = watch.see(frame)
        assert all(hides(tracks, box) for box in faces), f"a raw face in frame {index}"


def test_a_covered_face_ends_the_trust_for_a_second() -> None:
    """From the first covered frame: no face, its place blurred, not trusted; after a second the place is free again."""
    clip, watch = covered_face(), Watch()
    results = watch.all(clip.frames)
    covered = [index for index, faces in enumerate(clip.faces) if not faces]
    first = covered[0]
    assert results[first - 1].faces
    assert results[first - 1].trusted
    for index in range(first, first + FPS - 1):
        assert not results[index].faces
        assert not results[index].trusted
        assert hides(
            Tracks(faces=results[first - 1].faces, others=results[index].others, trusted=True), clip.faces[0][0]
        )
    assert all(tracks.trusted and not tracks.others for tracks in results[first + FPS + 1 : covered[-1]])
    assert len(results[-1].faces) == 1


def test_a_face_lost_for_a_moment_keeps_its_number() -> None:
    """Hidden for five frames, the person returns as the same track, marked fresh."""
    watch = Watch()
    before = watch.all([scene((300, 250, 120))] * 5)[-1]
    hidden = watch.all([scene()] * 5)
    after = watch.see(scene((330, 250, 120)))
    assert [tracks.trusted for tracks in hidden] == [False] * 5
    assert after.trusted
    assert after.faces[0].track_id == before.faces[0].track_id
    assert after.faces[0].fresh


def test_a_newcomer_is_blurred_in_the_first_frame_that_shows_them() -> None:
    """Between two scheduled detections, someone appears: the change of the scene calls the detector at once."""
    watch = Watch()
    watch.all([scene((200, 250, 140))] * 2)
    tracks = watch.see(scene((200, 250, 140), (560, 250, 80)))
    assert len(tracks.faces) == 1
    assert len(tracks.others) == 1
    assert hides(tracks, (525, 210, 595, 290))


def test_a_blurred_person_is_followed_between_detections() -> None:
    """The blur moves with someone who walks through the background."""
    watch = Watch()
    for index in range(40):
        x_px = 420 + index * 6
        tracks = watch.see(scene((200, 250, 160), (x_px, 250, 80)))
        assert hides(tracks, (x_px - 32, 212, x_px + 32, 288))
        assert middle(tracks.faces[0].box)[0] == pytest.approx(200, abs=12)


def test_a_doubtful_face_is_blurred_too() -> None:
    """Half covered by ever more of a hand, the second face comes to score under the bar for landmarks: blurred."""
    tried = 0
    for cover_px in range(10, 90, 4):
        frame = scene((200, 250, 140), (560, 250, 110))
        cv2.rectangle(frame, (500, 180), (620, 190 + cover_px), (150, 170, 210), -1)
        doubtful = [face for face in detector().detect(frame) if face.box[0] > 450 and face.score < 0.5]
        for face in doubtful:
            tried += 1
            tracks = Watch().see(frame)
            assert len(tracks.faces) == 1
            assert hides(tracks, face.box.tolist())
    assert tried >= 1


def test_the_identity_does_not_flip_between_two_of_like_size() -> None:
    """Who wore it first keeps it while the other is a tenth larger and smaller in turn, and yields to half as large."""
    watch = Watch()
    watch.see(scene((200, 250, 125), (560, 250, 115)))
    for index in range(30):
        tracks = watch.see(scene((200, 250, 120), (560, 250, 120 + 12 * np.sin(index / 4))))
        assert [middle(face.box)[0] < 384 for face in tracks.faces] == [True]
    for side_px in np.linspace(120, 180, 15):
        tracks = watch.see(scene((200, 250, 120), (560, 250, side_px)))
    assert [middle(face.box)[0] > 384 for face in tracks.faces] == [True]
    assert len(tracks.others) == 1


def test_the_place_of_a_lost_wearer_is_not_given_away_at_once() -> None:
    """The larger of two leaves: for a second nobody wears the identity and nothing is trusted; then the other does."""
    watch = Watch()
    watch.all([scene((200, 250, 150), (560, 250, 100))] * 5)
    results = watch.all([scene((560, 250, 100))] * (FPS + 5))
    assert all(not tracks.faces and not tracks.trusted for tracks in results[: FPS - 1])
    assert all(len(tracks.faces) == 1 and tracks.trusted for tracks in results[FPS + 1 :])


def test_who_is_no_longer_found_but_still_there_is_not_believed_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside somebody else they would be raw: once the detector has not confirmed them for long, nothing is trusted."""
    watch, frame = Watch(), scene((200, 250, 150), (560, 250, 100))
    watch.all([frame] * 5)
    seen = detector().detect
    monkeypatch.setattr(
        watch.tracker._detector, "detect", lambda *given: [face for face in seen(*given) if face.box[0] > WIDTH_PX / 2]
    )
    monkeypatch.setattr(watch.tracker._landmarker, "follow", only_right(watch.tracker._landmarker))
    results = [watch.see(frame, after_s=0.1) for _ in range(25)]
    assert not any(tracks.trusted for tracks in results)


def test_a_blurred_person_who_vanishes_leaves_a_widening_blur_but_does_not_stop_the_picture() -> None:
    """The one in the background goes: trust stays, their place is blurred for a second, ever wider."""
    watch = Watch()
    watch.all([scene((200, 250, 150), (560, 250, 100))] * 5)
    results = watch.all([scene((200, 250, 150))] * (FPS + 5))
    assert all(len(tracks.faces) == 1 and tracks.trusted for tracks in results)
    sizes = [float(area(tracks.others[0])) for tracks in results[: FPS - 1]]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[0]
    assert results[-1].others == ()


def test_as_many_wear_the_identity_as_allowed() -> None:
    """Three people, two places: the two largest wear it under different numbers, the third is blurred."""
    watch = Watch(max_faces=2)
    results = watch.all([scene((130, 250, 140), (370, 250, 110), (620, 250, 80))] * 12)
    for tracks in results:
        assert sorted(round(middle(face.box)[0], -2) for face in tracks.faces) == [100.0, 400.0]
        assert len({face.track_id for face in tracks.faces}) == 2
        assert len(tracks.others) == 1


def test_a_crowd_costs_no_more_landmark_runs_than_three_faces() -> None:
    """Eight faces: all are hidden, three are followed, the rest are boxes of the detector."""
    places = [(96.0 + 192 * (index % 4), 130.0 + 250 * (index // 4), 80.0 + index) for index in range(8)]
    watch = Watch()
    watch.all([scene(*places)] * 5)
    before = watch.landmarker.runs
    tracks = watch.see(scene(*places))
    assert watch.landmarker.runs - before == 3
    assert all(hides(tracks, (x - side / 3, y - side / 3, x + side / 3, y + side / 3)) for x, y, side in places)
    assert len(tracks.faces) == 1


def test_another_picture_size_keeps_the_person() -> None:
    """A browser changes resolution in mid-call: same track, landmarks in the new pixels, trust unbroken."""
    watch, frame = Watch(), scene((300, 250, 120))
    before = watch.see(frame).faces[0]
    small = watch.see(np.asarray(cv2.resize(frame, (WIDTH_PX // 2, HEIGHT_PX // 2)), np.uint8))
    assert small.trusted
    assert small.faces[0].track_id == before.track_id
    np.testing.assert_allclose(small.faces[0].box, before.box / 2, atol=4)


def test_after_a_pause_the_face_is_found_where_it_is_now() -> None:
    """The camera stood still for three seconds; the face has moved across the room meanwhile."""
    watch = Watch()
    watch.see(scene((200, 250, 120)))
    tracks = watch.see(scene((600, 250, 120)), after_s=3.0)
    assert middle(tracks.faces[0].box)[0] == pytest.approx(600, abs=15)
    assert tracks.trusted


def test_time_running_back_starts_afresh() -> None:
    """A stream that begins again at zero is a first frame, not an error."""
    watch = Watch()
    watch.see(scene((200, 250, 120)))
    tracks = watch.tracker.update(scene((600, 250, 120)), 0.0)
    assert middle(tracks.faces[0].box)[0] == pytest.approx(600, abs=15)
    assert tracks.faces[0].fresh


def test_landmarks_that_no_detector_confirms_are_given_up() -> None:
    """The detector goes blind: the landmarks carry the face for a while, then it counts as lost, and is blurred."""
    watch, frame = Watch(), scene((300, 250, 120))
    watch.see(frame)
    watch.detector.blind = True
    results = watch.all([frame] * FPS)
    assert all(tracks.faces for tracks in results[: FPS // 2])
    assert not results[-1].faces
    assert not results[-1].trusted
    assert hides(results[-1], (260, 210, 340, 290))


def test_reset_forgets_everyone() -> None:
    """A change of identity starts with a first frame, under a new number."""
    watch, frame = Watch(), scene((300, 250, 120))
    first = watch.see(frame).faces[0]
    watch.tracker.reset()
    again = watch.see(frame).faces[0]
    assert again.fresh
    assert again.track_id != first.track_id


def test_an_empty_room_is_trusted_and_has_no_faces() -> None:
    """Nobody was there, so nobody is missing."""
    for tracks in Watch().all([scene()] * 3):
        assert tracks == Tracks(faces=(), others=(), trusted=True)


def test_the_callers_frame_is_left_alone_and_results_do_not_change_later() -> None:
    """The tracker only reads; landmarks handed out stay what they were."""
    watch, frame = Watch(), scene((300, 250, 120))
    before = frame.copy()
    face = watch.see(frame).faces[0]
    kept = face.landmarks.copy()
    watch.all([scene((320, 250, 120))] * 3)
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(face.landmarks, kept)
