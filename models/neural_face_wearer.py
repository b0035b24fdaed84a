"""One call of the neural engine: its tracks, who wears what, and the two halves of a frame around the networks.

`begin` finds the faces and cuts them out, `finish` pastes the answers back and blurs whoever has none. What is between
them is the engine's, which takes the faces of several calls together.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import cv2
import numpy as np

from models import face_alignment, face_borders, face_templates, neural_paste
from models.carried_faces import CarriedFaces, FaceCarrier
from models.crop_colour import CropColour
from models.crop_edges import core
from models.engines import EnhancerWish, FaceBox, Frame, Swap, SwapRequest
from models.enhancer_stage import CallEnhancement
from models.face_blur import blur_box
from models.face_casting import Bare, Casting
from models.fitting import FittedFace, Fitting
from models.geometry import Floats, grown
from models.neural_paste import Alpha
from models.swapper import Swapper

MIN_CHANGE = 2.0
"""Mean difference of crop and swap, of 255: below it the network gave back the face that it was shown."""
ALPHA_HALF = 127
"""Of 255: above it a pixel counts as covered, as in `crop_colour`."""
BLUR_MARGIN = 0.3
"""Around a box that is blurred, in shares of its sides: hair, chin and what a late box leaves behind."""


class Worn(Protocol):
    """What the engine's `prepare` makes: it opens a casting for each call that wears it."""

    def casting(self) -> Casting:
        """A fresh one."""


class NeuralFaceWearer:
    """One call's faces. Used from the engine's thread."""

    def __init__(self, carrier: FaceCarrier, swapper: Swapper, swap_one: Callable[[SwapRequest], Swap]) -> None:
        """`swap_one` is the engine's way from `begin` to `finish` for a frame that comes alone."""
        self._carrier = carrier
        self._swapper = swapper
        self._swap_one = swap_one
        self._casting: Casting | None = None
        self._colours: dict[int, CropColour] = {}
        self._covers: dict[int, Alpha] = {}
        self._square = neural_paste.soft_alpha(swapper.size_px)
        self.enhancement = CallEnhancement()

    def wear(self, identity: Any) -> None:
        """Wear what `prepare` made from the next frame on, or nothing (all is blurred); all state starts afresh."""
        if identity is not None and not hasattr(identity, "casting"):
            raise TypeError("the neural engine wears what its own prepare() made")
        self._casting = None if identity is None else identity.casting()
        self._carrier.reset()
        self._colours.clear()
        self._covers.clear()
        self.enhancement.forget()

    def enhance(self, wish: EnhancerWish) -> None:
        """Enhance as wished from the next frame on; what there is fades over into it."""
        self.enhancement.wish = wish

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Swap or blur every face of `frame`, in place; all of it without an identity or trust in its faces.

        Raises what the networks raise; the next frame then starts afresh.
        """
        return self._swap_one(SwapRequest(wearer=self, frame=frame, time_s=time_s))

    def reset(self) -> None:
        """Trust nothing of what was seen: a network failed over it."""
        self._carrier.reset()
        self._colours.clear()
        self._covers.clear()
        self.enhancement.forget()
        if self._casting is not None:
            self._casting.reset()

    def begin(self, frame: Frame, time_s: float) -> Fitting:
        """Find and follow the faces and cut out those that are to wear something. Raises what the networks raise."""
        fitting = Fitting(frame=frame, seen=CarriedFaces(faces=(), others=(), trusted=False, searched=False))
        fitting.seen = seen = self._carrier.update(frame, time_s, fitting.watch.mark)
        fitting.covered = self._casting is None or not seen.trusted
        if self._casting is None:
            return fitting
        if fitting.covered:
            self._casting.reset()  # who is who may change while nobody looks
            return fitting
        everybody, parts = (*seen.faces, *seen.spares), self._casting.cast(frame, seen)
        self._carrier.prefer(self._casting.preferred())
        pairs = zip(everybody, parts, strict=True)
        fitting.untouched = frozenset(face.track_id for face, part in pairs if part is Bare.UNTOUCHED)
        for face, latent in zip(seen.faces, parts, strict=False):  # spares wear nothing
            to_crop = face_alignment.alignment(face, frame, self._swapper.template_px, self._swapper.size_px)
            if latent is not None and latent is not Bare.UNTOUCHED and to_crop is not None:
                crop = face_templates.crop(frame, to_crop, self._swapper.size_px)
                fitting.fitted.append(FittedFace(face=face, to_crop=to_crop, crop=crop, latent=latent))
        fitting.watch.mark("align")
        return fitting

    def finish(self, fitting: Fitting) -> Swap:
        """Paste what the swapper answered, in place, and blur every face that has no answer of its own."""
        fitting.watch.resume()
        frame, seen = fitting.frame, fitting.seen
        if fitting.covered:
            blur_box(frame, np.array([0, 0, frame.shape[1], frame.shape[0]], np.float32))
            return Swap(
                frame=frame, faces=_hidden(seen), stage_ms=fitting.watch.stage_ms, wall_ms=fitting.watch.wall_ms
            )
        swapped = self._pasted(frame, fitting.fitted)
        shown, others = swapped | fitting.untouched, _others(fitting)
        hidden = [grown(face.box, BLUR_MARGIN) for face in seen.faces if face.track_id not in shown]
        for box in (*hidden, *others):
            blur_box(frame, box)
        self._forget(seen)
        fitting.watch.mark("paste")
        placed = [face for face in seen.faces if face.track_id not in fitting.untouched]
        faces = [face_box(face.box, face.confidence, face.track_id in swapped) for face in placed]
        return Swap(
            frame=frame,
            faces=(*faces, *_boxes(others), *_untouched(fitting)),
            stage_ms=fitting.watch.stage_ms,
            wall_ms=fitting.watch.wall_ms,
        )

    def _pasted(self, frame: Frame, fitted: Sequence[FittedFace]) -> set[int]:
        """Paste the answers that are one, each where its face is the nearest; returns whose tracks wear theirs now."""
        worn = [(face, *answer) for face in fitted if (answer := self._believed(face)) is not None]
        alphas = face_borders.kept_apart([cover for *_, cover in worn], [face.to_crop for face, *_ in worn])
        for (face, toned, _), alpha in zip(worn, alphas, strict=True):
            detail = face.detail
            pasted = (toned, alpha, face.to_crop) if detail is None else detail.over(toned, alpha, face.to_crop)
            neural_paste.paste(frame, *pasted)
        return {face.face.track_id for face, *_ in worn}

    def _believed(self, face: FittedFace) -> tuple[Frame, Alpha] | None:
        """The swapped crop in the face's colours and where it covers; None for none, or what is not to be shown.

        It is judged in the colours in which it would be seen: the raw face in another tint would be raw again in them.
        """
        track = face.face.track_id
        former = self._covers.pop(track, self._square)
        if face.answer is None or face.alpha is None:
            return None
        # A hole is believed when two frames in a row have it.
        cover = face.alpha if face.alpha is former else np.maximum(face.alpha, former)
        skin = np.minimum(cover, core(self._swapper.size_px))
        toned = self._colours.setdefault(track, CropColour()).matched(face.answer.picture, face.crop, skin)
        if not (_changed(face.crop, face.answer.picture, None) and _changed(face.crop, toned, skin)):
            return None
        self._covers[track] = face.alpha
        return toned, cover

    def _forget(self, seen: CarriedFaces) -> None:
        present = {face.track_id for face in seen.faces}
        self._colours = {number: colour for number, colour in self._colours.items() if number in present}
        self._covers = {number: alpha for number, alpha in self._covers.items() if number in present}


def _changed(crop: Frame, swapped: Frame, alpha: Alpha | None) -> bool:
    """Whether they differ, where `alpha` is more than half; yes where it nowhere is, since nothing is shown there."""
    counted = None if alpha is None else np.asarray(alpha > ALPHA_HALF, np.uint8)
    count = crop.shape[0] * crop.shape[1] if counted is None else cv2.countNonZero(counted)
    return not count or cv2.norm(crop, swapped, cv2.NORM_L1, counted) / (3 * count) >= MIN_CHANGE


def _others(fitting: Fitting) -> tuple[Floats, ...]:
    """The boxes of `seen.others` without those of spares that are left alone."""
    spares, others = fitting.seen.spares, fitting.seen.others
    kept = [box for face, box in zip(spares, others, strict=False) if face.track_id not in fitting.untouched]
    return (*kept, *others[len(spares) :])


def _untouched(fitting: Fitting) -> tuple[FaceBox, ...]:
    everybody = (*fitting.seen.faces, *fitting.seen.spares)
    bare = [face_box(face.box, face.confidence, False) for face in everybody if face.track_id in fitting.untouched]
    return tuple(replace(face, untouched=True) for face in bare)


def _hidden(seen: CarriedFaces) -> tuple[FaceBox, ...]:
    return _boxes((*(face.box for face in seen.faces), *seen.others))


def _boxes(boxes: tuple[Floats, ...]) -> tuple[FaceBox, ...]:
    return tuple(face_box(box, 0.0, False) for box in boxes)


def face_box(box: Floats, score: float, swapped: bool) -> FaceBox:
    """A box (4,) as x0, y0, x1, y1 in pixels, as the engines report it."""
    x0, y0, x1, y1 = (float(value) for value in box)
    return FaceBox(x_px=x0, y_px=y0, width_px=x1 - x0, height_px=y1 - y0, score=score, swapped=swapped)
