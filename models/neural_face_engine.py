"""The neural face engine: SCRFD finds, ArcFace recognises, InSwapper swaps. For a GPU; weights are the operator's.

`mirage_rtc.lane_worker` opens it through `face_engine_choice` and drives it by the `FaceEngine` and `FaceWearer`
Protocols of `models.engines`. A face is swapped only when its place is sure and the answer is another face; every other
one is blurred, and what cannot be accounted for costs the whole frame. What fails raises: the frame goes nowhere.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models import face_templates, inswapper, neural_paste, portrait_rules, synthetic_identity
from models.arcface import ArcFace
from models.carried_faces import CarriedFace, CarriedFaces, FaceCarrier
from models.engines import FaceBox, Frame, IdentitySource, Swap
from models.face_blur import blur_box
from models.face_templates import Affine
from models.geometry import Floats, grown, inside_share
from models.inswapper import SIZE_PX, InSwapper, Latent
from models.runtime import NetworkError
from models.scrfd import FoundFace, Scrfd
from models.stage_watch import StageWatch

MIN_CONFIDENCE = 0.4
"""Below it nobody can say that the face lies where it is thought to be."""
MIN_FACE_PX = 24
MIN_INSIDE = 0.5
"""Of the box's area within the picture."""
MAX_MISFIT_PX = 14.0
"""Of the five points from the template, root mean square in the crop of 128: 3 from the front, 10 in profile."""
MIN_CHANGE = 2.0
"""Mean difference of crop and swap, of 255: below it the network gave back the face that it was shown."""
BLUR_MARGIN = 0.3
"""Around a box that is blurred, in shares of its sides: hair, chin and what a late box leaves behind."""
MAX_NOSE_OFFSET = 0.8
"""Of a portrait's nose from the middle between its eyes, in distances between them: about 55 degrees of turn."""
FAULTS_TO_RESTART = 10
"""Frames in a row that a network failed on: a lost GPU stays lost until its process ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeuralIdentity:
    """Whom to look like, as the swapper knows it. In memory only, shared by all calls that wear it."""

    latent: Latent


class NeuralFaceEngine:
    """Identities and calls of the neural face engine; all of it belongs to one thread. `warm_up` before the first call.

    After `FAULTS_TO_RESTART` failed frames in a row it ends its process (`SystemExit`), which its lane starts again.
    """

    name = "neural"
    why = ""
    """What decided for this engine, in words, for the log."""

    def __init__(self, detector: Scrfd, encoder: ArcFace, swapper: InSwapper) -> None:
        self.swapper = swapper
        self._detector = detector
        self._encoder = encoder
        self._faults = 0

    def warm_up(self) -> None:
        """Run every network in every shape of a call with one face, so that no caller waits for it."""
        noise = np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8)
        for size_px in self._detector.sizes_px:
            self._detector.detect_at(noise, size_px)
        self._encoder.embed(noise, [face_templates.arcface_template(112)])
        identity = self.prepare(IdentitySource(kind="mask", name=synthetic_identity.PREFIX + "0"))
        self.swapper.swap([np.ascontiguousarray(noise[:SIZE_PX, :SIZE_PX])], [identity.latent])

    def prepare(self, source: IdentitySource) -> NeuralIdentity:
        """An identity of a portrait (see `PortraitError`), or of nobody for a mask (KeyError for an unknown one)."""
        if source.kind == "mask":
            embedding = synthetic_identity.embedding(synthetic_identity.seed_of(source.name))
        else:
            picture = portrait_rules.picture(source)
            (embedding,) = self._encoder.embed(picture, [self._portrait_points(picture)])
        return NeuralIdentity(latent=self.swapper.latent(embedding))

    def open(self, *, max_faces: int) -> "NeuralFaceWearer":
        """State for one call in which up to `max_faces` faces, the largest, wear the identity."""
        return NeuralFaceWearer(self, FaceCarrier(self._detector, max_faces=max_faces))

    def succeeded(self) -> None:
        """A frame went through."""
        self._faults = 0

    def failed(self, error: Exception) -> None:
        """A frame did not; ends the process when the networks fail again and again."""
        self._faults += isinstance(error, NetworkError)
        if self._faults >= FAULTS_TO_RESTART:
            raise SystemExit(f"{FAULTS_TO_RESTART} frames in a row failed: {error}") from error

    def _portrait_points(self, picture: Frame) -> face_templates.Points:
        face = portrait_rules.only_face(self._detector.detect(picture), _side_px)
        portrait_rules.require_size(_side_px(face))
        if _nose_offset(face.points) > MAX_NOSE_OFFSET:
            raise portrait_rules.turned_away()
        return face.points


class NeuralFaceWearer:
    """One call: its faces and what they wear. Used from the engine's thread."""

    def __init__(self, engine: NeuralFaceEngine, carrier: FaceCarrier) -> None:
        self._engine = engine
        self._carrier = carrier
        self._alpha = neural_paste.soft_alpha(SIZE_PX)
        self._worn: NeuralIdentity | None = None

    def wear(self, identity: Any) -> None:
        """Wear a `NeuralIdentity` from the next frame on, or nothing (all is blurred); all state starts afresh."""
        if identity is not None and not isinstance(identity, NeuralIdentity):
            raise TypeError("the neural engine wears what its own prepare() made")
        self._worn = identity
        self._carrier.reset()

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Swap or blur every face of `frame`, in place; all of it without an identity or trust in its faces.

        Raises what the networks raise; the next frame then starts afresh.
        """
        try:
            swap = self._swapped(frame, time_s)
        except Exception as error:  # a network may raise anything; what it had seen is not trusted after that
            self._carrier.reset()
            self._engine.failed(error)
            raise
        self._engine.succeeded()
        return swap

    def _swapped(self, frame: Frame, time_s: float) -> Swap:
        watch = StageWatch()
        seen = self._carrier.update(frame, time_s, watch.mark)
        if self._worn is None or not seen.trusted:
            blur_box(frame, np.array([0, 0, frame.shape[1], frame.shape[0]], np.float32))
            return Swap(frame=frame, faces=_unswapped(seen), stage_ms=watch.stage_ms)
        alignments = [_alignment(face, frame) for face in seen.faces]
        aligned = {i: to_crop for i, to_crop in enumerate(alignments) if to_crop is not None}
        crops = [face_templates.crop(frame, to_crop, SIZE_PX) for to_crop in aligned.values()]
        watch.mark("align")
        swapped = self._engine.swapper.swap(crops, [self._worn.latent] * len(crops))
        watch.mark("swap")
        for crop, answer, (i, to_crop) in zip(crops, swapped, list(aligned.items()), strict=True):
            if _changed(crop, answer):
                neural_paste.paste(frame, answer, self._alpha, to_crop)
            else:
                del aligned[i]
        hidden = [face.box for i, face in enumerate(seen.faces) if i not in aligned]
        for box in (*(grown(box, BLUR_MARGIN) for box in hidden), *seen.others):
            blur_box(frame, box)
        watch.mark("paste")
        faces = [_face_box(face.box, face.confidence, i in aligned) for i, face in enumerate(seen.faces)]
        return Swap(frame=frame, faces=(*faces, *_boxes(seen.others)), stage_ms=watch.stage_ms)


def _alignment(face: CarriedFace, frame: Frame) -> Affine | None:
    """The way to the face's crop; None for a face that is not surely there, too small, or mostly out of the picture."""
    if face.confidence < MIN_CONFIDENCE or not (np.isfinite(face.points).all() and np.isfinite(face.box).all()):
        return None
    if float((face.box[2:] - face.box[:2]).min()) < MIN_FACE_PX:
        return None
    if inside_share(face.box, frame.shape[1], frame.shape[0]) < MIN_INSIDE or np.ptp(face.points, axis=0).min() < 1:
        return None
    to_crop = inswapper.alignment(face.points)
    off_px = face.points @ to_crop[:, :2].T + to_crop[:, 2] - inswapper.TEMPLATE_PX
    return to_crop if float(np.sqrt((off_px**2).sum(axis=1).mean())) <= MAX_MISFIT_PX else None


def _changed(crop: Frame, swapped: Frame) -> bool:
    return float(np.abs(crop.astype(np.int16) - swapped).mean()) >= MIN_CHANGE


def _side_px(face: FoundFace) -> float:
    return float((face.box[2:] - face.box[:2]).max())


def _nose_offset(points: Floats) -> float:
    """How far the nose is from the middle between the eyes, along the line through them, in their distance."""
    left, right, nose = (np.asarray(point, np.float64) for point in points[:3])
    across = right - left
    return abs(float((nose - (left + right) / 2) @ across)) / max(float(across @ across), 1e-9)


def _unswapped(seen: CarriedFaces) -> tuple[FaceBox, ...]:
    return _boxes((*(face.box for face in seen.faces), *seen.others))


def _boxes(boxes: tuple[Floats, ...]) -> tuple[FaceBox, ...]:
    return tuple(_face_box(box, 0.0, False) for box in boxes)


def _face_box(box: Floats, score: float, swapped: bool) -> FaceBox:
    x0, y0, x1, y1 = (float(value) for value in box)
    return FaceBox(x_px=x0, y_px=y0, width_px=x1 - x0, height_px=y1 - y0, score=score, swapped=swapped)
