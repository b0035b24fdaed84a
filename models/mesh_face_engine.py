"""The embedded face engine: dense landmarks, a worn face warped onto them, no weights but Google's two small networks.

`mirage_rtc.lane_worker` opens it by name and drives it through the `FaceEngine` and `FaceWearer` Protocols of
`models.engines`. Each frame is tracked, each face that is to wear the identity is dressed by a `FaceDresser`, every
other one is blurred, and where the tracker cannot vouch for the frame nothing of it is kept.
"""

from pathlib import Path
from typing import Any

import numpy as np

from models import mask_art, portrait_rules
from models.catalog import FACE_DETECTOR, FACE_LANDMARKS
from models.engines import FaceBox, Frame, IdentitySource, PortraitError, Swap
from models.face_blur import blur_box
from models.face_detector import Detection, FaceDetector
from models.face_dresser import FaceDresser
from models.face_landmarks import FaceLandmarker, roi_from_detection, roi_from_landmarks
from models.face_mesh import Points
from models.face_tracker import FaceTracker, TrackedFace, Tracks
from models.geometry import Floats
from models.portrait import WornFace, make_portrait, worth
from models.runtime import LiteRTNetwork
from models.stage_watch import StageWatch
from models.store import Store

MIN_PORTRAIT_SCORE = 0.5
MIN_PORTRAIT_PRESENCE = 0.5
HAIR_MARGIN, CHIN_MARGIN, SIDE_MARGIN = 0.35, 0.15, 0.2
"""How much wider than its landmarks a face is blurred, in shares of their box."""


class MeshFaceEngine:
    """Identities and calls of the embedded face engine. Raises `ModelMissing` when a network's file is absent."""

    name = "mesh"
    why = ""
    """What decided for this engine, in words, for the log."""

    def __init__(self, store_root: str) -> None:
        store = Store(Path(store_root), offline=True)
        self._detector = FaceDetector(LiteRTNetwork(store.path(FACE_DETECTOR)))
        self._landmarker = FaceLandmarker(LiteRTNetwork(store.path(FACE_LANDMARKS)))
        for mask in mask_art.MASKS:  # painted before there are calls: choosing one must not hold up the others' frames
            mask_art.worn(mask.name)

    def prepare(self, source: IdentitySource) -> WornFace:
        """An identity of a mask (KeyError for an unknown one) or the best of its portraits (see `PortraitError`)."""
        if source.kind == "mask":
            return mask_art.worn(source.name)
        looked = [(picture, self._only_face(picture)) for picture in portrait_rules.pictures(source)]
        return make_portrait(*max(looked, key=lambda seen: worth(seen[1])))

    def open(self, *, max_faces: int) -> "MeshFaceWearer":
        """State for one call in which up to `max_faces` faces wear the identity."""
        return MeshFaceWearer(FaceTracker(self._detector, self._landmarker, max_faces=max_faces))

    def _only_face(self, portrait: Frame) -> Points:
        found = portrait_rules.only_face(self._detector.detect(portrait, MIN_PORTRAIT_SCORE), _side_px)
        rough = self._landmarker.locate(portrait, roi_from_detection(found))
        fine = self._landmarker.locate(portrait, roi_from_landmarks(rough.points))
        if fine.score < MIN_PORTRAIT_PRESENCE:
            raise PortraitError(
                "portrait_no_face", "The face is not seen clearly. Use a picture from the front with nothing before it."
            )
        return fine.points


class MeshFaceWearer:
    """One call: its tracks and what they wear. Used from one thread."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker = tracker
        self._worn: WornFace | None = None
        self._dressers: dict[int, FaceDresser] = {}

    def wear(self, identity: Any) -> None:
        """Wear a `WornFace` from the next frame on, or nothing (every face is blurred); all state starts afresh."""
        if identity is not None and not isinstance(identity, WornFace):
            raise TypeError("the mesh engine wears what its own prepare() made")
        self._worn = identity
        self._dressers.clear()
        self._tracker.reset()

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Dress or blur every face of `frame`, in place. Without trust in the tracks the whole frame is blurred."""
        watch = StageWatch()
        tracks = self._tracker.update(frame, time_s)
        watch.mark("track")
        if not tracks.trusted:
            blur_box(frame, np.array([0, 0, frame.shape[1], frame.shape[0]], np.float32))
            return Swap(frame=frame, faces=_unswapped(tracks), stage_ms=watch.stage_ms, wall_ms=watch.wall_ms)
        dressed = [self._dress(frame, face, time_s, watch) for face in tracks.faces]
        for box in tracks.others:
            blur_box(frame, box)
        watch.mark("blend")
        self._forget(tracks)
        return Swap(
            frame=frame, faces=(*dressed, *_boxes(tracks.others)), stage_ms=watch.stage_ms, wall_ms=watch.wall_ms
        )

    def _dress(self, frame: Frame, face: TrackedFace, time_s: float, watch: StageWatch) -> FaceBox:
        swapped = False
        if self._worn is not None:
            if face.fresh or face.track_id not in self._dressers:
                self._dressers[face.track_id] = FaceDresser(self._worn)
            swapped = self._dressers[face.track_id].dress(frame, face.landmarks, time_s, watch.mark)
        if not swapped:
            blur_box(frame, _with_hair_and_chin(face.box))
        return _face_box(face.box, face.score, swapped)

    def _forget(self, tracks: Tracks) -> None:
        present = {face.track_id for face in tracks.faces}
        self._dressers = {name: dresser for name, dresser in self._dressers.items() if name in present}


def _side_px(detection: Detection) -> float:
    return float((detection.box[2:] - detection.box[:2]).max())


def _with_hair_and_chin(box: Floats) -> Floats:
    width, height = box[2] - box[0], box[3] - box[1]
    grow = np.array([-SIDE_MARGIN * width, -HAIR_MARGIN * height, SIDE_MARGIN * width, CHIN_MARGIN * height])
    return np.asarray(box + grow, np.float32)


def _unswapped(tracks: Tracks) -> tuple[FaceBox, ...]:
    return _boxes((*(face.box for face in tracks.faces), *tracks.others))


def _boxes(boxes: tuple[Floats, ...]) -> tuple[FaceBox, ...]:
    return tuple(_face_box(box, 0.0, False) for box in boxes)


def _face_box(box: Floats, score: float, swapped: bool) -> FaceBox:
    x0, y0, x1, y1 = (float(value) for value in box)
    return FaceBox(x_px=x0, y_px=y0, width_px=x1 - x0, height_px=y1 - y0, score=score, swapped=swapped)
