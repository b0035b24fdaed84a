"""The way out of the voice: what may be sent is cut into frames that leave in the rhythm they were captured in.

Filled by `audio_path` with hops that passed the gate, emptied by the sender. A frame leaves the `cushion`'s delay after
its capture, or as soon as it is there. The timeline keeps its length: silence that stood in for late sound is paid back
by dropping the sound it stood for when that comes, and only silence that comes late is dropped else.

A conversation bears a lost syllable better than half a minute of delay. Who listens has a jitter buffer of its own,
which takes sound sent faster than it was said for jitter and grows: libwebrtc's NetEq from 60 to 200 ms, and pictures
wait for it. So nothing leaves before the path is well (`opening`), no more than three late packets are made up for by
haste (what is later than that, and has fresher sound behind it, is skipped), and a cushion that is no longer needed is
given back while nobody speaks, or by at most 1 %.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from mirage_rtc.clock import Clock
from mirage_rtc.cushion import CUSHION_FRAMES, CUSHION_MAX_S, Cushion
from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.opening import Opening

STARVED_S = CUSHION_MAX_S
"""A frame this late is given up: silence stands in. A jitter buffer bridges less."""
QUIET = 0.003
"""Below -50 dB of full scale nobody speaks."""
_WAIT_MIN_S = 0.001
"""A frame this early leaves at once: a timer is no finer."""
_FADE_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Something that may be sent, and when what it was made of was captured; an engine's delay makes `sound` older."""

    sound: SafeSound
    heard_s: float


class Playout:
    """Frames of exactly `frame_samples`; with `fill` they are paced, and silence stands in for what does not come."""

    def __init__(
        self, *, gate: SoundGate, clock: Clock, rate_hz: int, frame_samples: int, most_ms: int, fill: bool
    ) -> None:
        self.cushion = Cushion(clock)
        self._opening = Opening(self.cushion, clock)
        self._gate = gate
        self._clock = clock
        self._rate_hz = rate_hz
        self._frame_samples = frame_samples
        self._frame_s = frame_samples / rate_hz
        self._most_frames = most_ms * rate_hz // 1000 // frame_samples
        self._fill = fill
        self._rest: list[_Part] = []
        self._ready: deque[_Part] = deque()
        self._filled = asyncio.Event()
        self._hop_frames = 1
        self._owed = 0
        self._started = False
        self._next_due_s = 0.0
        self._head_s = clock()
        self._seam = Seam(round(_FADE_S * rate_hz), gate.generation)

    @property
    def waiting(self) -> int:
        """Samples that may be sent and were not yet."""
        return len(self._ready) * self._frame_samples + sum(len(part.sound.samples) for part in self._rest)

    def forgive(self) -> None:
        """The input paused: what is owed will not come."""
        self._owed = 0

    def put(self, sound: SafeSound, *, heard_s: float, spare_s: float = 0.0) -> None:
        """Add what may be sent, made of samples captured from `heard_s` on; it may yet come `spare_s` later."""
        self._opening.note(self._clock() - heard_s + spare_s, hop_s=len(sound.samples) / self._rate_hz)
        if self._fill and not self._opening.is_over:
            return
        self._hop_frames = max(1, len(sound.samples) // self._frame_samples)
        self._rest.append(_Part(sound=sound, heard_s=heard_s))
        while sum(len(part.sound.samples) for part in self._rest) >= self._frame_samples:
            frame = self._take_frame()
            if not self._given_up(frame):
                self._ready.append(frame)
                self._filled.set()
        while len(self._ready) > self._most_frames:
            self._ready.popleft()

    async def next(self) -> SafeSound:
        """The next frame, when it is due."""
        frame = await self._wait()
        while self._fill and frame is not None and self._left_out(frame):
            frame = await self._wait()
        if frame is None:
            return self._leave(self._gate.silence(self._frame_samples, capture_s=self._head_s), self._clock())
        due_s = frame.heard_s + self.cushion.delay_s
        if self._fill and (early_s := due_s - self._clock()) > _WAIT_MIN_S:
            await asyncio.sleep(early_s)
        sound = frame.sound
        if sound.generation != self._gate.generation:
            sound = self._gate.silence(len(sound.samples), capture_s=sound.capture_s)
        return self._leave(sound, max(due_s, self._clock()))

    def _leave(self, sound: SafeSound, due_s: float) -> SafeSound:
        self._next_due_s = due_s + self._frame_s
        self._head_s = sound.capture_s + self._frame_s
        return self._seam.smooth(sound)

    def _given_up(self, frame: _Part) -> bool:
        """Whether silence went in the place of a frame that comes late, or it is silence before waiting sound."""
        if not self._fill:
            return False
        late = self._clock() - frame.heard_s - self.cushion.delay_s >= self._frame_s
        if late and self._owed > 0:
            self._owed -= self._frame_samples
            return True
        if not late:
            self._owed = 0  # the silence stood for sound that never came
        return frame.sound.kind == "silent" and (late or len(self._ready) >= self._hop_frames + CUSHION_FRAMES)

    def _left_out(self, frame: _Part) -> bool:
        """Whether a frame is skipped: too late before fresher sound, or silence that only keeps a cushion too large."""
        late_s = self._clock() - frame.heard_s - self.cushion.delay_s
        if late_s > STARVED_S and len(self._ready) >= self._hop_frames:
            return True
        loud = float(np.abs(frame.sound.samples).max()) >= QUIET
        if loud or self.cushion.surplus_s < self._frame_s:
            return False
        self.cushion.cut(self._frame_s)
        return True

    def _take_frame(self) -> _Part:
        """The first `frame_samples` of `_rest`; of several kinds, the strictest generation is kept."""
        first, last = self._rest[0], self._rest[-1].sound
        if len(first.sound.samples) == self._frame_samples:
            return self._rest.pop(0)
        samples = np.concatenate([part.sound.samples for part in self._rest])
        frame, left = samples[: self._frame_samples], samples[self._frame_samples :]
        generation = min(part.sound.generation for part in self._rest)
        self._rest = []
        if len(left):
            later = replace(last, samples=left, capture_s=first.sound.capture_s + self._frame_s)
            self._rest = [_Part(sound=later, heard_s=first.heard_s + self._frame_s)]
        sound = replace(first.sound, samples=frame, kind=last.kind, generation=generation)
        return _Part(sound=sound, heard_s=first.heard_s)

    async def _wait(self) -> _Part | None:
        """The next frame that is ready; None when it is given up."""
        while not self._ready:
            self._filled.clear()
            try:
                async with asyncio.timeout(self._patience_s()):
                    await self._filled.wait()
            except TimeoutError:
                self._owed += self._frame_samples
                return None
        self._started = True
        return self._ready.popleft()

    def _patience_s(self) -> float | None:
        """How long to wait before silence stands in; for ever until the voice began."""
        if not (self._fill and self._started):
            return None
        return max(0.0, self._next_due_s + STARVED_S - self._clock()) if self._owed == 0 else self._frame_s


class Seam:
    """Joins sound of one generation to that of the next without a click, and without a sample of the former one."""

    def __init__(self, fade_samples: int, generation: int) -> None:
        self._falling = np.linspace(1.0, 0.0, fade_samples, endpoint=False, dtype=np.float32)
        self._generation = generation
        self._last = np.float32(0.0)
        self._opening = False

    def smooth(self, sound: SafeSound) -> SafeSound:
        """The same sound; after a change the level last sent falls to zero, and what is new rises from there."""
        changed = sound.generation != self._generation
        self._generation = sound.generation
        self._opening = self._opening or changed
        if self._opening:
            sound = replace(sound, samples=self._joined(sound, changed))
        self._last = sound.samples[-1]
        return sound

    def _joined(self, sound: SafeSound, changed: bool) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        samples = sound.samples.copy()
        head = samples[: len(self._falling)]
        falling = self._falling[: len(head)]
        if sound.kind != "silent":
            head *= 1.0 - falling
            self._opening = False
        if changed:
            head += self._last * falling
        return samples
