"""Engines that fail on purpose, and cheap ones whose output tells who wears what. They run in lanes by dotted path.

The faulty ones wrap a real engine (`inner`, "module:callable"), so that what surrounds a fault is the product's own
path. Counters start again with every worker process. Used by `test_leaks` and `test_two_calls`.
"""

import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from models.engines import (
    FaceBox,
    FaceEngine,
    FaceWearer,
    Frame,
    IdentitySource,
    Samples,
    Swap,
    VoiceEngine,
    VoiceProfile,
    VoiceSettings,
    VoiceStream,
)

TINTS_BGR = {"a": (200, 60, 40), "b": (40, 60, 200)}
"""The colour a mask paints; other identities are green."""
TONES_HZ = {"disguise": 440.0, "lower": 220.0, "higher": 880.0, "robot": 1320.0, "whisper": 1760.0}

Fault = Callable[[int], None]
"""Called with the number of the frame or hop, counted from 1, before it is converted."""


def load(path: str, **arguments: Any) -> Any:
    """Call "module:callable"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)(**arguments)


class TintWearer:
    """Covers the whole picture, but for a rim, in the colour of the identity."""

    def __init__(self) -> None:
        self._colour: tuple[int, int, int] | None = None

    def wear(self, identity: Any) -> None:
        """Take the colour."""
        self._colour = identity

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Paint it; before an identity is worn there is no swapped face."""
        if self._colour is None:
            return Swap(frame=frame)
        height, width = frame.shape[:2]
        x, y = width // 16, height // 16
        cv2.rectangle(frame, (x, y), (width - x, height - y), self._colour, -1)
        box = FaceBox(
            x_px=width * 0.3, y_px=height * 0.4, width_px=width * 0.4, height_px=height * 0.4, score=1.0, swapped=True
        )
        return Swap(frame=frame, faces=(box,))


class TintFaceEngine:
    """A swap for the price of a rectangle."""

    name = "tint"

    def prepare(self, source: IdentitySource) -> tuple[int, int, int]:
        """The colour of an identity."""
        return TINTS_BGR.get(source.name, (60, 200, 60))

    def open(self, *, max_faces: int) -> TintWearer:
        """A wearer of nothing yet."""
        return TintWearer()


class ToneStream:
    """A steady tone while somebody speaks; its pitch tells the preset."""

    delay_ms = 0.0

    def __init__(self, sample_rate_hz: int, settings: VoiceSettings) -> None:
        self._rate_hz = sample_rate_hz
        self._tone_hz = TONES_HZ.get(settings.preset, 660.0)
        self._phase = 0.0

    def set_voice(self, settings: VoiceSettings) -> None:
        """Change the pitch."""
        self._tone_hz = TONES_HZ.get(settings.preset, 660.0)

    def convert(self, hop: Samples) -> Samples:
        """The tone, as loud as the hop."""
        step = 2 * np.pi * self._tone_hz / self._rate_hz
        angles = self._phase + step * np.arange(1, len(hop) + 1)
        self._phase = float(angles[-1] % (2 * np.pi))
        return np.asarray(np.sqrt(2 * (hop**2).mean()) * np.sin(angles), np.float32)


class ToneVoiceEngine:
    """A voice for the price of a sine."""

    name = "tone"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> ToneStream:
        """A stream at its preset's pitch."""
        return ToneStream(sample_rate_hz, settings)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Nothing is measured."""
        return VoiceProfile(values={})


class FaultyWearer:
    """A wearer before whose every frame the fault may strike, or whose `leaked` frames stay raw."""

    def __init__(self, inner: FaceWearer, strike: Fault, leaks: Callable[[int], bool]) -> None:
        self._inner = inner
        self._strike = strike
        self._leaks = leaks
        self._frames = 0

    def wear(self, identity: Any) -> None:
        """As the inner wearer."""
        self._inner.wear(identity)

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Strike, then as the inner wearer."""
        self._frames += 1
        self._strike(self._frames)
        raw = frame.copy()
        swapped = self._inner.swap(frame, time_s)
        return Swap(frame=raw, faces=swapped.faces) if self._leaks(self._frames) else swapped


class FaultyFaceEngine:
    """A face engine with a fault in every call: `raise_every`, `exit_at`, `hang_at` (5 s), `leak_every` (raw)."""

    def __init__(
        self, *, inner: str, raise_every: int = 0, exit_at: int = 0, hang_at: int = 0, leak_every: int = 0, **rest: Any
    ) -> None:
        self._inner: FaceEngine = load(inner, **rest)
        self.name = f"faulty {self._inner.name}"
        self._strike = strike(raise_every=raise_every, exit_at=exit_at, hang_at=hang_at)
        self._leaks = every(leak_every)

    def prepare(self, source: IdentitySource) -> Any:
        """As the inner engine."""
        return self._inner.prepare(source)

    def open(self, *, max_faces: int) -> FaultyWearer:
        """The inner engine's wearer with the fault before it."""
        return FaultyWearer(self._inner.open(max_faces=max_faces), self._strike, self._leaks)


class FaultyStream:
    """A voice stream before whose every hop the fault may strike, or whose `leaked` hops stay raw."""

    def __init__(self, inner: VoiceStream, strike: Fault, leaks: Callable[[int], bool]) -> None:
        self._inner = inner
        self._strike = strike
        self._leaks = leaks
        self._hops = 0
        self.delay_ms = inner.delay_ms

    def set_voice(self, settings: VoiceSettings) -> None:
        """As the inner stream."""
        self._inner.set_voice(settings)

    def convert(self, hop: Samples) -> Samples:
        """Strike, then as the inner stream."""
        self._hops += 1
        self._strike(self._hops)
        raw = hop.copy()
        converted = self._inner.convert(hop)
        return raw if self._leaks(self._hops) else converted


class FaultyVoiceEngine:
    """A voice engine with the faults of `FaultyFaceEngine`, counted in hops."""

    def __init__(
        self, *, inner: str, raise_every: int = 0, exit_at: int = 0, hang_at: int = 0, leak_every: int = 0, **rest: Any
    ) -> None:
        self._inner: VoiceEngine = load(inner, **rest)
        self.name = f"faulty {self._inner.name}"
        self._strike = strike(raise_every=raise_every, exit_at=exit_at, hang_at=hang_at)
        self._leaks = every(leak_every)

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> FaultyStream:
        """The inner engine's stream with the fault before it."""
        inner = self._inner.open(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=settings)
        return FaultyStream(inner, self._strike, self._leaks)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """As the inner engine."""
        return self._inner.measure(clip, sample_rate_hz)


def every(count: int) -> Callable[[int], bool]:
    """Whether a number is a multiple of `count`; never for 0."""
    return lambda number: bool(count) and number % count == 0


def strike(*, raise_every: int, exit_at: int, hang_at: int) -> Fault:
    """A fault: raises on every n-th, ends the process at one, or sleeps 5 s at one."""

    def at(number: int) -> None:
        if raise_every and number % raise_every == 0:
            raise RuntimeError("an engine that fails")
        if number == exit_at:
            os._exit(3)
        if number == hang_at:
            time.sleep(5)

    return at
