"""The enhancer's part of a frame: between the swapper's answers and the paste, for the faces of all calls together.

It adds to a swap that could be pasted as it is, so nothing here ever fails a frame: what goes wrong is counted, and the
plain swap is shown. `neural_face_engine` calls it once a batch; how often a face is enhanced is `enhancer_budget`'s.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from models.engines import Enhancement, EnhancerName, EnhancerPause, EnhancerWish, Frame
from models.enhancer_budget import EnhancerBudget
from models.enhancer_detail import FaceDetail
from models.enhancer_guard import GuardedEnhancer
from models.enhancer_rests import EnhancerRests
from models.enhancer_view import EnhancerView
from models.fitting import FittedFace, Fitting
from models.runtime import NetworkError
from models.swapper import Swapper

MIN_SIDE_PX = 64
"""Of a swapper's crop in the frame: a face this small shows no detail that could be restored."""


@dataclass(slots=True, eq=False)
class CallEnhancement:
    """What one call wishes, the details of its faces by track, and what became of the last frame."""

    wish: EnhancerWish = EnhancerWish()
    report: Enhancement = Enhancement()
    details: dict[int, FaceDetail] = field(default_factory=dict)
    age: int = 0
    """Frames since the enhancer last ran for this call."""
    rests: EnhancerRests = field(default_factory=EnhancerRests)

    def forget(self) -> None:
        """Of another identity, or of tracks that are not trusted."""
        self.details.clear()
        self.rests.clear()
        self.age = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Due:
    """A face that is to be enhanced now."""

    call: CallEnhancement
    face: FittedFace
    swap: Frame
    shown: Frame


class EnhancerStage:
    """The enhancers of one engine, and their budget. `clock` gives seconds of wall time."""

    def __init__(
        self,
        swapper: Swapper,
        enhancers: Sequence[GuardedEnhancer] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = EnhancerBudget()
        self._enhancers: Mapping[EnhancerName, GuardedEnhancer] = {one.kind.name: one for one in enhancers}
        self._views = {name: _view(swapper, one) for name, one in self._enhancers.items()}
        self._clock = clock
        self._begun_s: float | None = None

    @property
    def offers(self) -> tuple[EnhancerName, ...]:
        """Names that a wish may have; the first is meant by a wish without one."""
        return tuple(self._enhancers)

    def began(self) -> float:
        """A batch of frames begins; returns when, for `ended`."""
        return self._clock()

    def ended(self, began_s: float) -> None:
        """The batch that began then is done: the budget learns what it cost of the time since the one before."""
        if self._begun_s is not None and self._enhancers:
            self.budget.frame(self._clock() - began_s, began_s - self._begun_s)
        self._begun_s = began_s

    def enhance(self, work: Sequence[tuple[CallEnhancement, Fitting]]) -> None:
        """Give the answered faces of these frames their detail; of each call at most one frame. Never raises."""
        if not self._enhancers:
            return
        try:
            self._enhance(work)
        except Exception:  # noqa: BLE001 - a fault of ours costs the detail, not the calls their frames
            for call, fitting in work:
                call.forget()
                call.report = Enhancement(fault="enhancer failed")
                for face in fitting.fitted:
                    face.detail = None

    def _enhance(self, work: Sequence[tuple[CallEnhancement, Fitting]]) -> None:
        for call, _ in work:
            call.report = Enhancement()
        for name in self._enhancers:
            chosen = [(call, fitting) for call, fitting in work if self._model(call.wish) == name]
            self._run(name, [due for call, fitting in chosen for due in self._due(name, call, fitting)])
        for call, fitting in work:
            fitting.watch.resume()
            self._step(call, fitting)
            fitting.watch.mark("enhance")

    def _model(self, wish: EnhancerWish) -> EnhancerName | None:
        return wish.model or next(iter(self._enhancers), None)

    def _report(self, name: EnhancerName, wish: EnhancerWish, *, resting: bool) -> Enhancement:
        """What works on a call's frames, and how often; `resting` says that none of this one's faces is to be tried."""
        if wish.mode == "off":
            return Enhancement()
        every, guarded = self.budget.every, self._enhancers[name]
        if guarded.ready and every and not resting:
            return Enhancement(model=name, every=1 if wish.mode == "every" else every)
        paused: EnhancerPause = "face" if every else "busy"
        if not guarded.ready:
            paused = "failed" if guarded.off else "opening"
        return Enhancement(paused=paused)

    def _due(self, name: EnhancerName, call: CallEnhancement, fitting: Fitting) -> list[_Due]:
        call.rests.next_frame()
        awake = [face for face in fitting.fitted if not call.rests.resting(name, face.face.track_id)]
        call.report = self._report(name, call.wish, resting=bool(fitting.fitted) and not awake)
        every = call.report.every
        call.age += 1
        if not every or call.age < every:
            return []
        fitting.watch.resume()
        due = []
        for face in awake:
            if face.answer is not None and _differs(face) and _side_px(face) >= MIN_SIDE_PX:
                swap = face.answer.picture
                shown = self._views[name].shown(fitting.frame, face.to_crop, swap)
                due.append(_Due(call=call, face=face, swap=swap, shown=shown))
        fitting.watch.mark("enhance")
        call.age = 0 if due else call.age
        return due

    def _run(self, name: EnhancerName, due: Sequence[_Due]) -> None:
        if not due:
            return
        guarded, view, began_s = self._enhancers[name], self._views[name], self._clock()
        try:
            answers = guarded.enhance([one.shown for one in due], [one.call.wish.fidelity for one in due])
        except NetworkError:
            for one in due:
                one.call.report = _faulty(one.call.report, "enhancer failed" if guarded.off == "" else "enhancer off")
            return
        self.budget.ran(self._clock() - began_s)
        sound = [
            answer if answer is not None and view.is_of(answer, one.swap, one.face.crop) else None
            for one, answer in zip(due, answers, strict=True)
        ]
        self._judge(name, due, sound)
        for one, answer in zip(due, sound, strict=True):
            if answer is not None:
                self._detail(name, one.call, one.face).learn(one.swap, one.shown, answer)
            else:
                one.call.report = _faulty(one.call.report, "enhancer not trusted")

    def _judge(self, name: EnhancerName, due: Sequence[_Due], sound: Sequence[Frame | None]) -> None:
        """The enhancer failed when no face is believed; a call with nothing else to tell counts as that only once."""
        believed = any(answer is not None for answer in sound)
        if believed or not all(one.call.rests.doubted(name) for one in due):
            self._enhancers[name].judged(sound=believed)
        for one, answer in zip(due, sound, strict=True):
            one.call.rests.judged(name, one.face.face.track_id, sound=answer is not None)

    def _detail(self, name: EnhancerName, call: CallEnhancement, face: FittedFace) -> FaceDetail:
        """The face's own; a new one for another enhancer or another identity."""
        view, found = self._views[name], call.details.get(face.face.track_id)
        if found is not None and found.view is view and np.array_equal(found.latent, face.latent):
            return found
        made = call.details[face.face.track_id] = FaceDetail(view, face.latent)
        if found is not None and np.array_equal(found.latent, face.latent):
            made.strength = found.strength  # another enhancer for the same face: no dip between the two
        return made

    def _step(self, call: CallEnhancement, fitting: Fitting) -> None:
        """Lay the details of this frame out; what belongs to no face of it is forgotten."""
        wanted = call.report.every > 0
        for face in fitting.fitted:
            detail = call.details.get(face.face.track_id)
            if face.answer is None or detail is None:
                continue
            if np.array_equal(detail.latent, face.latent):
                rests = call.rests.resting(call.report.model, face.face.track_id)
                face.detail = detail.step(face.answer.picture, wanted=wanted and not rests)
        present = {face.face.track_id for face in fitting.fitted}
        call.rests.keep(present)
        call.details = {
            number: detail
            for number, detail in call.details.items()
            if number in present and (wanted or detail.strength > 0)
        }


def _view(swapper: Swapper, guarded: GuardedEnhancer) -> EnhancerView:
    kind = guarded.kind
    return EnhancerView(
        swap_px=swapper.size_px, swap_template=swapper.template_px, size_px=kind.size_px, template=kind.template_px
    )


def _differs(face: FittedFace) -> bool:
    """Whether the swapper's answer is not the raw face again, which nobody is to see, an enhancer neither."""
    return face.answer is not None and cv2.norm(face.crop, face.answer.picture, cv2.NORM_L1) / face.crop.size >= 2.0


def _side_px(face: FittedFace) -> float:
    """Of the swapper's crop, in the frame."""
    return float(face.crop.shape[0] / np.hypot(*face.to_crop[:, 0]))


def _faulty(report: Enhancement, fault: str) -> Enhancement:
    return replace(report, fault=fault)
