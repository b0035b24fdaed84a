"""The way out of the voice: what may be sent is cut into frames that leave at the pace of the sample clock.

Filled by `audio_path` with hops that passed the gate, emptied by the sender. The timeline keeps its length: silence
that stood in for late sound is paid back by dropping the sound it stood for, and nothing but silence is dropped else.
"""

import asyncio
from collections import deque

import numpy as np

from mirage_rtc.clock import Clock
from mirage_rtc.gate import SafeSound, SoundGate

STARVED_S = 0.1
SLACK_FRAMES, SLACK_S = 10, 0.002


class Playout:
    """Frames of exactly `frame_samples`; with `fill` they are paced, and silence stands in for what does not come."""

    def __init__(
        self,
        *,
        gate: SoundGate,
        clock: Clock,
        rate_hz: int,
        frame_samples: int,
        hop_samples: int,
        most_ms: int,
        fill: bool,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._rate_hz = rate_hz
        self._frame_samples = frame_samples
        self._hop_samples = hop_samples
        self._most_ms = most_ms
        self._fill = fill
        self._ready: deque[SafeSound] = deque()
        self._rest: list[SafeSound] = []
        self._sent = asyncio.Event()
        self._owed = 0
        self._started = False
        self._next_due_s = 0.0
        self._head_s = clock()
        self._slack_s = float("inf")
        self._paced = 0

    def forgive(self) -> None:
        """The input paused: what is owed will not come."""
        self._owed = 0

    async def next(self) -> SafeSound:
        """The next frame, when it is due."""
        sound = await self._wait()
        if sound.generation != self._gate.generation:
            sound = self._gate.silence(len(sound.samples), capture_s=sound.capture_s)
        if self._fill:
            await self._pace(len(sound.samples))
        self._head_s = sound.capture_s + len(sound.samples) / self._rate_hz
        return sound

    def put(self, sound: SafeSound, *, behind: bool) -> None:
        """Cut what may be sent into frames, less what is owed; `behind` says that more input waits."""
        self._rest.append(sound)
        while sum(len(part.samples) for part in self._rest) >= self._frame_samples:
            frame = self._take_frame()
            if self._owed > 0 and behind:
                self._owed -= self._frame_samples
                continue
            if self._fill and frame.kind == "silent" and self._crowded():
                continue  # silence need not wait behind sound, and what follows need not wait behind silence
            self._ready.append(frame)
            self._sent.set()
        if not behind:
            self._owed = 0  # nothing is behind: the silence stood for sound that never came
        while len(self._ready) * self._frame_samples > self._most_ms * self._rate_hz // 1000:
            self._ready.popleft()

    def _crowded(self) -> bool:
        """Whether more is ready than one hop leaves."""
        return len(self._ready) * self._frame_samples > self._hop_samples

    def _take_frame(self) -> SafeSound:
        """The first `frame_samples` of `_rest`; of several kinds, the strictest generation is kept."""
        first = self._rest[0]
        samples = np.concatenate([part.samples for part in self._rest])
        frame, left = samples[: self._frame_samples], samples[self._frame_samples :]
        last = self._rest[-1]
        generation = min(part.generation for part in self._rest)
        left_s = first.capture_s + self._frame_samples / self._rate_hz
        self._rest = []
        if len(left):
            self._rest = [SafeSound(samples=left, capture_s=left_s, kind=last.kind, generation=last.generation)]
        return SafeSound(samples=frame, capture_s=first.capture_s, kind=last.kind, generation=generation)

    async def _wait(self) -> SafeSound:
        while not self._ready:
            self._sent.clear()
            try:
                async with asyncio.timeout(self._patience_s()):
                    await self._sent.wait()
            except TimeoutError:
                return self._starved()
        self._started = True
        return self._ready.popleft()

    def _patience_s(self) -> float | None:
        """How long to wait before silence stands in; for ever until the voice began."""
        if not (self._fill and self._started):
            return None
        return max(0.0, self._next_due_s + STARVED_S - self._clock()) if self._owed == 0 else 0.02

    def _starved(self) -> SafeSound:
        self._owed += self._frame_samples
        return self._gate.silence(self._frame_samples, capture_s=self._head_s)

    async def _pace(self, count: int) -> None:
        """Leave at the sample clock's pace, so that the two frames of a hop do not burst."""
        early_s = self._next_due_s - self._clock()
        if early_s < -STARVED_S:
            self._next_due_s = self._clock()
        elif early_s > 0:
            await asyncio.sleep(early_s)
        self._next_due_s += count / self._rate_hz
        self._take_slack(max(0.0, early_s))

    def _take_slack(self, early_s: float) -> None:
        """A fifth of a second in which every frame had to wait holds a delay that nothing needs: take it out."""
        self._slack_s = min(self._slack_s, early_s)
        self._paced += 1
        if self._paced < SLACK_FRAMES:
            return
        if self._slack_s > SLACK_S:
            self._next_due_s -= self._slack_s
        self._slack_s, self._paced = float("inf"), 0
