"""Follows the faces of one call for the neural engine: found by SCRFD every few frames, carried by flow between them.

`neural_face_engine` calls `update` once a frame. When to look is `detection_policy`'s; besides, a frame is searched at
once when a face was lost, when the picture changed elsewhere, and while the detector does not confirm a face that the
flow still follows. What vanished is blurred where it was; `trusted` is False when a wearer cannot be accounted for.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.detection_policy import Confidence, DetectionPolicy
from models.engines import Frame
from models.face_ranks import KEEP_FACTOR, SPARE_TRACKS, choose, merged
from models.frame_continuity import FrameContinuity
from models.geometry import Floats, area, coincides, distance, grown, iou
from models.last_look import is_still_there, look
from models.one_euro import OneEuro
from models.point_carrier import Grey, PointCarrier
from models.scene_change import SceneChange
from models.scrfd import MIN_SCORE, FoundFace, Scrfd
from models.vanished_faces import VanishedFace, VanishedFaces

_BLUR_SCORE = 0.3  # of a detection that is worth hiding
_SAME_IOU = 0.25  # of a track and its detection
_SURE_IOU = 0.5  # below it the detection may be somebody else's, who came into the track's place
_REACH = 1.0  # in face sides, from a track that lost its face to the detection that nobody claims
_UNCONFIRMED_S = 0.5  # how long the flow may follow what the detector does not see
_MARGIN = 0.25  # of a blurred box, in shares of its side
_THOROUGH_EVERY = 6  # detections: then the larger size looks for small bystanders too

Mark = Callable[[str], None]
"""Told the name of a stage when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedFace:
    """A face that is to wear the identity: `points` (5, 2) and `box` (4,) in pixels of this frame, filtered in time.

    `confidence` in [0, 1] is the last score times the flow's inlier ratio; `stable` as the specification has it. The
    `spell` is another after every moment in which the face was lost: only within one is it surely the same person's.
    """

    track_id: int
    spell: int = 0
    points: Floats
    box: Floats
    confidence: float
    stable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedFaces:
    """All faces of one frame: at most `max_faces`, the preferred and then the largest; `spares` are followed besides.

    `others` are widened boxes (4,) that are to be blurred, first those of the spares.

    Not `trusted`: a face that wore the identity within the last second is neither followed nor seen, so that its raw
    pixels may be anywhere; so too after it, while others are there and its place still looks like it. `searched` tells
    whether the detector ran.
    """

    faces: tuple[CarriedFace, ...]
    others: tuple[Floats, ...]
    trusted: bool
    searched: bool
    spares: tuple[CarriedFace, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class _Track:
    track_id: int
    spell: int
    carrier: PointCarrier
    confidence: Confidence
    confirmed_s: float
    seen_s: float
    chosen: bool = False
    confirmed: bool = True
    euro: OneEuro = field(default_factory=OneEuro)

    @property
    def box(self) -> Floats:
        return self.carrier.box

    def face(self, time_s: float) -> CarriedFace:
        points = self.euro.step(self.carrier.points, time_s, float(self.box[3] - self.box[1]))
        sure, stable = self.confidence.value, self.confidence.stable
        return CarriedFace(
            track_id=self.track_id, spell=self.spell, points=points, box=self.box, confidence=sure, stable=stable
        )


class FaceCarrier:
    """The faces of one call. Not thread-safe. Costs about a millisecond a face and frame, and detections."""

    def __init__(self, detector: Scrfd, *, max_faces: int) -> None:
        self._detector = detector
        self._max_faces = max_faces
        self._next_id = 1
        self._spells = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget every face; the next frame is a first frame. Track ids and spells go on counting."""
        self._tracks: list[_Track] = []
        self._preferred: frozenset[int] = frozenset()
        self._vanished = VanishedFaces()
        self._scene = SceneChange()
        self._policy = DetectionPolicy()
        self._continuity = FrameContinuity()
        self._before: Grey | None = None
        self._detections = 0

    def update(self, frame: Frame, time_s: float, mark: Mark = lambda _: None) -> CarriedFaces:
        """Account for the faces of `frame` (height, width, 3) BGR, captured at `time_s` (monotonic seconds)."""
        self._begin(frame, time_s)
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
        self._carry(grey, time_s)
        mark("track")
        changed = self._changed(frame)
        searched = self._policy.due() or changed or self._doubtful()
        if searched:
            self._detect(frame, grey, time_s, changed=changed)
            self._forget(grey, time_s)
            mark("detect")
        self._before = grey
        self._tracks = merged(self._tracks)
        self._tracks = choose(self._tracks, self._vanished, max_faces=self._max_faces, preferred=self._preferred)
        self._policy.concluded(track.confidence for track in self._tracks)
        return self._result(time_s, searched)

    def prefer(self, track_ids: frozenset[int]) -> None:
        """From the next frame on these come first, before larger faces, when it is said who has a place."""
        self._preferred = track_ids

    def _begin(self, frame: Frame, time_s: float) -> None:
        """Where nothing can be carried (a pause, another picture size, time running back), look anew."""
        step = self._continuity.step(frame, time_s)
        if step.rewound:
            self.reset()
            self._continuity.step(frame, time_s)
        if step.broken:
            self._lose(self._tracks)
            self._vanished.rescale(*step.scale)
            self._scene = SceneChange()
            self._before = None

    def _carry(self, grey: Grey, time_s: float) -> None:
        lost = []
        for track in self._tracks:
            carried = None if self._before is None else track.carrier.carry(self._before, grey)
            if carried is None:
                lost.append(track)
                continue
            track.confidence.carried(carried.inlier_ratio)
            track.seen_s = time_s
        self._lose(lost)

    def _lose(self, lost: Iterable[_Track]) -> None:
        lost = list(lost)
        for track in lost:
            seen = None if self._before is None else look(self._before, track.box)
            place = VanishedFace(
                box=track.box, time_s=track.seen_s, track_id=track.track_id, chosen=track.chosen, look=seen
            )
            self._vanished.remember(place)
        self._tracks = [track for track in self._tracks if track not in lost]

    def _forget(self, grey: Grey, time_s: float) -> None:
        """Forget who is gone; not a wearer whose place still looks like them while somebody else would be shown."""
        others = bool(self._tracks)
        self._vanished.forget(time_s, lambda face: others and is_still_there(face.look, grey, face.box))

    def _doubtful(self) -> bool:
        """Whether a frame that is not due is searched all the same. Where nobody is nothing is shown: it can wait."""
        return self._vanished.any_lost or not all(track.confirmed for track in self._tracks)

    def _changed(self, frame: Frame) -> bool:
        """Whether the picture is another one where nobody was, so that somebody may have come."""
        known = [track.box for track in self._tracks] + self._vanished.boxes
        return self._scene.changed(frame, [grown(box, _MARGIN) for box in known])

    def _detect(self, frame: Frame, grey: Grey, time_s: float, *, changed: bool) -> None:
        """Find faces anew: confirm and correct tracks, start tracks, move what vanished to where it is seen."""
        self._policy.detected()
        self._scene.look(frame)
        strays = []
        for found in self._confirm(self._look(frame, changed=changed), grey, time_s):
            gone = self._vanished.claim(found.box, time_s)
            if not self._acquire(grey, found, gone, time_s):
                stray = gone or VanishedFace(box=found.box, time_s=time_s)
                stray.box, stray.time_s = found.box, time_s
                strays.append(stray)
        self._vanished.explain([track.box for track in self._tracks] + [stray.box for stray in strays])
        for stray in strays:
            self._vanished.remember(stray)
        self._lose([track for track in self._tracks if time_s - track.confirmed_s > _UNCONFIRMED_S])

    def _look(self, frame: Frame, *, changed: bool) -> list[FoundFace]:
        """Faces, best first: at the first size, and at the next when that misses a face, or there may be bystanders.

        Small faces are lost at 320 pixels, faces that fill the picture score low at 640. So the next size is not spared
        while somebody is remembered, or may have come: in a first frame, where the picture `changed`, and in turn.
        """
        self._detections += 1
        thorough = changed or bool(self._vanished.boxes) or self._detections % _THOROUGH_EVERY == 0
        faces: list[FoundFace] = []
        for size_px in self._detector.sizes_px:
            faces += self._detector.detect_at(frame, size_px, min_score=_BLUR_SCORE)
            if not thorough and self._all_seen([face for face in faces if face.score >= MIN_SCORE]):
                break
        kept: list[FoundFace] = []
        for face in sorted(faces, key=lambda face: -face.score):
            if not any(coincides(face.box, other.box) for other in kept):
                kept.append(face)
        return kept

    def _all_seen(self, faces: list[FoundFace]) -> bool:
        """Whether somebody was found, and everybody who is followed."""
        if not faces:
            return False
        boxes = np.stack([face.box for face in faces])
        return all(float(iou(track.box, boxes).max()) >= _SAME_IOU for track in self._tracks)

    def _confirm(self, faces: list[FoundFace], grey: Grey, time_s: float) -> list[FoundFace]:
        """Give every track its detection, the nearest pair first; returns the faces that belong to no track."""
        pairs = [(float(iou(face.box, track.box[None])[0]), face, track) for face in faces for track in self._tracks]
        for track in self._tracks:
            track.confirmed = False
        left = list(faces)
        for share, face, track in sorted(pairs, key=lambda pair: -pair[0]):
            if share < _SAME_IOU or track.confirmed or not any(face is other for other in left):
                continue
            left = [other for other in left if other is not face]
            if share < _SURE_IOU:
                track.spell = next(self._spells)
            track.carrier.correct(grey, face.points, face.box)
            track.confidence.detected(face.score)
            track.confirmed, track.confirmed_s = True, time_s
        adrift = [track for track in self._tracks if not track.confirmed]
        for track in adrift:
            track.confidence.missed()
        self._lose([t for t in adrift if any(distance(t.box, face.box[None])[0] < _REACH for face in left)])
        return left

    def _acquire(self, grey: Grey, found: FoundFace, gone: VanishedFace | None, time_s: float) -> bool:
        """Start a track on a detection, as the one that `gone` was."""
        known = gone.track_id if gone is not None else None
        if not self._has_room(found) or (known is None and found.score < MIN_SCORE):
            return False
        if known is None:
            known, self._next_id = self._next_id, self._next_id + 1
        track = _Track(
            track_id=known,
            spell=next(self._spells),
            carrier=PointCarrier(grey, found.points, found.box),
            confidence=Confidence(found.score),
            confirmed_s=time_s,
            seen_s=time_s,
            chosen=gone is not None and gone.chosen,
        )
        self._tracks.append(track)
        return True

    def _has_room(self, found: FoundFace) -> bool:
        """Whether a face is worth following: there are few, or it is much larger than one followed."""
        if len(self._tracks) < self._max_faces + SPARE_TRACKS:
            return True
        followed = [float(area(track.box)) for track in self._tracks if not track.chosen]
        return float(area(found.box)) > KEEP_FACTOR**2 * min(followed, default=np.inf)

    def _result(self, time_s: float, searched: bool) -> CarriedFaces:
        faces = tuple(track.face(time_s) for track in self._tracks if track.chosen)
        spares = tuple(track.face(time_s) for track in self._tracks if not track.chosen)
        followed = [grown(face.box, _MARGIN) for face in spares]
        vanished = self._vanished.blurs(time_s, [face.box for face in faces])
        trusted = not self._vanished.missing(time_s)
        return CarriedFaces(
            faces=faces, others=(*followed, *vanished), trusted=trusted, searched=searched, spares=spares
        )
