"""Engines that do little and tell much, for tests of what stands around an engine. They run in lanes by dotted path."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.engines import (
    Enhancement,
    EnhancerPause,
    EnhancerWish,
    FaceBox,
    Frame,
    IdentitySource,
    Others,
    PortraitError,
    PreparedPart,
    Samples,
    Swap,
    SwapRequest,
    VoiceProfile,
    VoiceSettings,
)

SHADES = {"mask:a": 40, "mask:b": 200, "a": 40, "b": 200}
"""The grey an identity paints its frame with."""


class PaintedWearer:
    """Paints the frame with the identity's grey; a frame that starts black has no face, one of value 13 is unlucky."""

    def __init__(self) -> None:
        self._shade = 0

    def wear(self, identity: Any) -> None:
        """Take the identity's grey."""
        self._shade = identity

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Paint it."""
        first = int(frame[0, 0, 0])
        if 11 <= first <= 15:
            raise RuntimeError("unlucky")
        if first < 3:
            return Swap(frame=frame)
        frame[:] = self._shade
        face = FaceBox(x_px=0, y_px=100, width_px=9, height_px=9, score=1.0, swapped=True)
        return Swap(frame=frame, faces=(face,), stage_ms={"paint": 0.1})


class PaintedFaceEngine:
    """Identities are greys; a portrait must not be black."""

    name = "painted"

    def prepare(self, source: IdentitySource) -> int:
        """The identity's grey."""
        if source.portrait is not None and not all(picture.any() for picture in (source.portrait, *source.more)):
            raise PortraitError("portrait_no_face", "Choose a picture with a face.")
        return SHADES.get(source.name, 120)

    def open(self, *, max_faces: int) -> PaintedWearer:
        """A wearer of nothing."""
        return PaintedWearer()


class StallingWearer(PaintedWearer):
    """A `PaintedWearer` whose enhancer, once it is wished for, is off."""

    def __init__(self) -> None:
        super().__init__()
        self._wish = EnhancerWish()

    def enhance(self, wish: EnhancerWish) -> None:
        """Take the wish."""
        self._wish = wish

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Paint, and say why no more is done."""
        paused: EnhancerPause = "" if self._wish.mode == "off" else "failed"
        return replace(super().swap(frame, time_s), enhancement=Enhancement(paused=paused))


class StallingFaceEngine(PaintedFaceEngine):
    """The painted engine with an enhancer that is off."""

    name = "stalling"
    extras = ("gpen-256",)

    def open(self, *, max_faces: int) -> StallingWearer:
        """A wearer of nothing."""
        return StallingWearer()


class TellingWearer:
    """A `PaintedWearer` that, with a mapping, paints what its first person wears and reports others by their policy."""

    def __init__(self) -> None:
        self._painter = PaintedWearer()
        self._others: Others | None = None

    def wear(self, identity: Any) -> None:
        """A grey, or a mapping's."""
        shade, self._others = identity if isinstance(identity, tuple) else (identity, None)
        self._painter.wear(shade)

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Paint the left part only when somebody is left alone at the right."""
        raw = frame.copy()
        swap = self._painter.swap(frame, time_s)
        if self._others != "passthrough" or not swap.faces:
            return swap
        half = frame.shape[1] // 2
        frame[:, half:] = raw[:, half:]
        bare = FaceBox(x_px=half, y_px=0, width_px=9, height_px=9, score=1.0, swapped=False, untouched=True)
        return Swap(frame=frame, faces=(*swap.faces, bare))


class TellingFaceEngine:
    """The painted engine as one that tells people apart."""

    name = "telling"

    def __init__(self) -> None:
        self._inner = PaintedFaceEngine()

    def prepare(self, source: IdentitySource) -> int:
        """The identity's grey."""
        return self._inner.prepare(source)

    def mapped(self, identity: int, parts: Sequence[PreparedPart], *, others: Others, lock: bool) -> tuple[int, Others]:
        """The grey that the first person wears, the identity's where there is nobody."""
        return (identity if not parts or parts[0].wears is None else parts[0].wears, others)

    def open(self, *, max_faces: int) -> TellingWearer:
        """A wearer of nothing."""
        return TellingWearer()


class JudgingFaceEngine:
    """Knows portraits only: none is good enough, and it says which engine it judges for."""

    name = "judge"

    def __init__(self, *, in_force: str) -> None:
        self._in_force = in_force

    def prepare(self, source: IdentitySource) -> None:
        """Refuse it."""
        raise PortraitError("portrait_no_face", f"This would not do for {self._in_force}.")


class BatchingFaceEngine:
    """The same for up to eight frames at once. With a `fault` it answers all frames from "one buffer", as a GPU engine
    could, with those "swapped" around, "cropped", or with one "too few"."""

    name = "batching"
    batch_max = 8

    def __init__(self, fault: str = "") -> None:
        self._inner = PaintedFaceEngine()
        self._fault = fault

    def prepare(self, source: IdentitySource) -> int:
        """The identity's grey."""
        return self._inner.prepare(source)

    def open(self, *, max_faces: int) -> PaintedWearer:
        """A wearer of nothing."""
        return self._inner.open(max_faces=max_faces)

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """Paint each frame, or raise for it."""
        answers = [self._swap(request) for request in requests]
        frames = [request.frame for request in requests]
        match self._fault:
            case "one buffer":
                return [
                    Swap(frame=frames[0][:, :], faces=answer.faces) for answer in answers if isinstance(answer, Swap)
                ]
            case "swapped":
                return answers[::-1]
            case "cropped":
                return [Swap(frame=frame[2:, 2:].copy()) for frame in frames]
            case "too few":
                return answers[1:]
        return answers

    def _swap(self, request: SwapRequest) -> Swap | Exception:
        try:
            return request.wearer.swap(request.frame, request.time_s)
        except RuntimeError as unlucky:
            return unlucky


class KeyedWearer:
    """Every pixel becomes another that only this identity makes of it, so that one wrong pixel shows."""

    def __init__(self) -> None:
        self._key = 0

    def wear(self, identity: Any) -> None:
        """Take the identity's key."""
        self._key = identity

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Encipher it in place."""
        frame ^= np.uint8(self._key)
        return Swap(frame=frame, faces=(FaceBox(x_px=0, y_px=0, width_px=9, height_px=9, score=1.0, swapped=True),))


class KeyedFaceEngine:
    """Identities are keys; up to eight frames at once."""

    name = "keyed"
    batch_max = 8

    def prepare(self, source: IdentitySource) -> int:
        """A key of the name's."""
        return sum(source.name.encode()) % 256

    def open(self, *, max_faces: int) -> KeyedWearer:
        """A wearer of nothing."""
        return KeyedWearer()

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """Encipher each."""
        return [request.wearer.swap(request.frame, request.time_s) for request in requests]


class ScaledVoiceStream:
    """Multiplies by the preset's factor: 0.5, or 0.25 for "robot"; a hop that starts above 0.9 is unlucky."""

    delay_ms = 0.0

    def __init__(self, settings: VoiceSettings) -> None:
        self.set_voice(settings)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Take the preset's factor."""
        self._factor = 0.25 if settings.preset == "robot" else 0.5

    def convert(self, hop: Samples) -> Samples:
        """Scale it."""
        if hop[0] > 0.9:
            raise RuntimeError("unlucky")
        return (hop * self._factor).astype(np.float32)


class ScaledVoiceEngine:
    """Opens scaling streams; a clip is usable when it is not silent."""

    name = "scaled"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> ScaledVoiceStream:
        """A stream of its own."""
        return ScaledVoiceStream(settings)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """The clip's length."""
        if not clip.any():
            raise ValueError("The clip is silent: record five seconds of speech.")
        return VoiceProfile(values={"samples": len(clip)})
