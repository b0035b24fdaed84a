"""Follows the faces of one call from frame to frame: who wears the identity, and what must be blurred.

The face engine calls `update` once a frame. Landmarks are followed on every frame from those of the frame before;
detection runs to find a face, to find it again, when the scene changes, and at least every fifth frame. What was a
face a moment ago and cannot be accounted for is blurred where it was last seen, and `Tracks.trusted` says when that
is not enough: no raw face may leave because a network looked away.
"""

from dataclasses import dataclass, field

import numpy as np

from models.engines import Frame
from models.face_detector import Detection, FaceDetector
from models.face_landmarks import SAME_FACE_IOU, FaceLandmarker, Landmarks
from models.face_ranks import KEEP_FACTOR, SPARE_TRACKS, choose, merged
from models.frame_continuity import FrameContinuity
from models.geometry import Floats, area, bounds, distance, grown, iou
from models.last_look import is_still_there, look
from models.one_euro import OneEuro
from models.point_carrier import Grey
from models.scene_change import SceneChange
from models.vanished_faces import VanishedFace, VanishedFaces

_DETECT_EVERY = 5  # frames
_MIN_SCORE = 0.3  # of a detection that is worth blurring
_SURE_SCORE, _SURE_PRESENCE = 0.5, 0.9  # one of both makes a detection a face to follow
_UNCONFIRMED_S = 0.7  # how long landmarks may say "face" while the detector says "none"
_MARGIN = 0.25  # of a blurred box, in shares of its side
_DRIFT_IOU = 0.5  # of landmarks and detection: below it, the landmarks have slid off the face
_REACH = 1.0  # in face sides, from a track that drifted to its unclaimed detection


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFace:
    """A face that is to wear the identity. `landmarks` (468, 3) float32, pixels, filtered; `box` bounds them;
    `score` is the landmarks' presence in [0, 1]; `fresh` is True on the first frame of a track and after a loss:
    averages over time that belong to this track start over.
    """

    track_id: int
    landmarks: Floats
    score: float
    box: Floats
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """All faces of one frame.

    `faces`: at most `max_faces`, the largest, with landmarks of this frame. `others`: boxes (4,) of everything else
    that is or may be a face, already widened, ready to be blurred. `trusted` is False when a face that was swapped
    within the last second is now neither followed nor detected: its raw pixels may be anywhere, so the frame must be
    treated as one without a face (frozen, then the card), whatever `faces` holds; so too after that second while others
    are there and its place still looks like it. A face that was only blurred does not end the trust when it vanishes: a
    box that widens with time stays over its place for a second.
    """

    faces: tuple[TrackedFace, ...]
    others: tuple[Floats, ...]
    trusted: bool


def _green(frame: Frame) -> Grey:
    """Most of the luminance, at no cost."""
    return frame[..., 1]


def _nothing() -> Floats:
    return np.empty((0, 3), np.float32)


@dataclass(slots=True, kw_only=True, eq=False)
class _Track:
    track_id: int
    confirmed_s: float
    seen_s: float = 0.0
    score: float = 0.0
    points: Floats = field(default_factory=_nothing)  # as measured: the next region of interest follows these
    smooth: Floats = field(default_factory=_nothing)  # as shown
    chosen: bool = False
    fresh: bool = True
    confirmed: bool = True
    look: Grey | None = None  # of a wearer, when last followed
    euro: OneEuro = field(default_factory=OneEuro)

    @property
    def box(self) -> Floats:
        return bounds(self.points)

    def take(self, found: Landmarks, time_s: float) -> None:
        self.points, self.score, self.seen_s = found.points, found.score, time_s
        height_px = float(np.ptp(found.points[:, 1]))
        self.smooth = self.euro.step(found.points, time_s, height_px)

    def face(self) -> TrackedFace:
        return TrackedFace(
            track_id=self.track_id, landmarks=self.smooth, score=self.score, box=bounds(self.smooth), fresh=self.fresh
        )


class FaceTracker:
    """The faces of one call. Not thread-safe; one a call. Cost: one landmark run a face and frame, and detections."""

    def __init__(self, detector: FaceDetector, landmarker: FaceLandmarker, *, max_faces: int) -> None:
        self._detector = detector
        self._landmarker = landmarker
        self._max_faces = max_faces
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget every face; the next frame is a first frame. Track ids go on counting."""
        self._tracks: list[_Track] = []
        self._vanished = VanishedFaces()
        self._scene = SceneChange()
        self._since_detection = _DETECT_EVERY
        self._continuity = FrameContinuity()

    def update(self, frame: Frame, time_s: float) -> Tracks:
        """Account for the faces of `frame` (height, width, 3) BGR, captured at `time_s` (monotonic seconds)."""
        self._begin(frame, time_s)
        self._follow(frame, time_s)
        self._since_detection += 1
        if self._detection_due(frame):
            self._detect(frame, time_s)
            self._forget(frame, time_s)
        self._tracks = merged(self._tracks)
        self._tracks = choose(self._tracks, self._vanished, max_faces=self._max_faces)
        result = self._result(time_s)
        for track in self._tracks:
            track.fresh = False
            track.look = look(_green(frame), bounds(track.smooth)) if track.chosen else None
        return result

    def _begin(self, frame: Frame, time_s: float) -> None:
        """Where landmarks cannot be followed (a pause, another picture size, time running back), look anew."""
        step = self._continuity.step(frame, time_s)
        if step.rewound:
            self.reset()
            self._continuity.step(frame, time_s)
        if step.broken:
            self._lose(self._tracks)
            self._since_detection = _DETECT_EVERY
            self._vanished.rescale(*step.scale)

    def _follow(self, frame: Frame, time_s: float) -> None:
        lost = []
        for track in self._tracks:
            found = self._landmarker.follow(frame, track.points)
            if found is not None:
                track.take(found, time_s)
            else:
                lost.append(track)
        self._lose(lost)

    def _lose(self, lost: list[_Track]) -> None:
        for track in lost:
            box, number, seen = bounds(track.smooth), track.track_id, track.look
            place = VanishedFace(box=box, time_s=track.seen_s, track_id=number, chosen=track.chosen, look=seen)
            self._vanished.remember(place)
        self._tracks = [track for track in self._tracks if track not in lost]

    def _forget(self, frame: Frame, time_s: float) -> None:
        """Forget who is gone; not a wearer whose place still looks like them while somebody else would be shown."""
        others, grey = bool(self._tracks), _green(frame)
        self._vanished.forget(time_s, lambda face: others and is_still_there(face.look, grey, face.box))

    def _detection_due(self, frame: Frame) -> bool:
        if not self._tracks or self._since_detection >= _DETECT_EVERY:
            return True
        if self._vanished.any_lost or not all(track.confirmed for track in self._tracks):
            return True
        known = [track.box for track in self._tracks] + self._vanished.boxes
        return self._scene.changed(frame, [grown(box, _MARGIN) for box in known])

    def _detect(self, frame: Frame, time_s: float) -> None:
        """Find faces anew: confirm tracks, start tracks, move vanished faces to where the detector sees them."""
        self._since_detection = 0
        self._scene.look(frame)
        strays = []
        for detection in self._confirm(frame, self._detector.detect(frame, _MIN_SCORE), time_s):
            gone = self._vanished.claim(detection.box, time_s)
            if not self._acquire(frame, detection, gone, time_s):
                stray = gone or VanishedFace(box=detection.box, time_s=time_s)
                stray.box, stray.time_s = detection.box, time_s
                strays.append(stray)
        self._vanished.explain([track.box for track in self._tracks] + [stray.box for stray in strays])
        for stray in strays:
            self._vanished.remember(stray)
        self._lose([track for track in self._tracks if time_s - track.confirmed_s > _UNCONFIRMED_S])

    def _confirm(self, frame: Frame, detections: list[Detection], time_s: float) -> list[Detection]:
        """Give every track its detection and set right what drifted; returns the detections that belong to no track."""
        for track in self._tracks:
            track.confirmed = False
        new = []
        for detection in detections:
            agreement = [float(iou(detection.box, track.box[None])[0]) for track in self._tracks]
            for track, share in zip(self._tracks, agreement, strict=True):
                if share >= SAME_FACE_IOU:
                    track.confirmed, track.confirmed_s = True, time_s
            if max(agreement, default=0.0) < SAME_FACE_IOU:
                new.append(detection)
            elif max(agreement) < _DRIFT_IOU:
                self._set_right(frame, self._tracks[int(np.argmax(agreement))], detection, time_s)
        adrift = [track for track in self._tracks if not track.confirmed]
        self._lose([t for t in adrift if any(distance(t.box, d.box[None])[0] < _REACH for d in new)])
        return new

    def _set_right(self, frame: Frame, track: _Track, detection: Detection, time_s: float) -> None:
        found = self._landmarker.find(frame, detection)
        if found is not None:
            track.take(found, time_s)

    def _acquire(self, frame: Frame, detection: Detection, gone: VanishedFace | None, time_s: float) -> bool:
        """Start a track on a detection, as the one that `gone` was."""
        found = self._landmarker.find(frame, detection) if self._has_room(detection) else None
        known = gone.track_id if gone is not None else None
        sure = known is not None or detection.score >= _SURE_SCORE
        if found is None or not (sure or found.score >= _SURE_PRESENCE):
            return False
        if known is None:
            known, self._next_id = self._next_id, self._next_id + 1
        track = _Track(track_id=known, confirmed_s=time_s, chosen=gone is not None and gone.chosen)
        track.take(found, time_s)
        self._tracks.append(track)
        return True

    def _has_room(self, detection: Detection) -> bool:
        """Whether a face is worth a landmark run a frame: there are few, or it is much larger than one followed."""
        if len(self._tracks) < self._max_faces + SPARE_TRACKS:
            return True
        followed = [float(area(track.box)) for track in self._tracks if not track.chosen]
        return float(area(detection.box)) > KEEP_FACTOR**2 * min(followed, default=np.inf)

    def _result(self, time_s: float) -> Tracks:
        chosen = [track for track in self._tracks if track.chosen]
        followed = [grown(track.box, _MARGIN) for track in self._tracks if not track.chosen]
        vanished = self._vanished.blurs(time_s, [track.box for track in chosen])
        faces = tuple(track.face() for track in chosen)
        return Tracks(faces=faces, others=(*followed, *vanished), trusted=not self._vanished.missing(time_s))
