"""One hop of samples, start to end, in the voice lane. Pure and synchronous; the counterpart of `swap_pipeline`."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.engines import Samples, VoiceEngine, VoiceProfile, VoiceSettings, VoiceStream


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVoice:
    """Make room for a call. Answered with the stream's constant content delay in ms."""

    call_id: str
    sample_rate_hz: int
    hop_ms: int
    settings: VoiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVoice:
    """Change the voice of a call from its next hop on."""

    call_id: str
    settings: VoiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertHop:
    """Convert one hop of a call."""

    call_id: str
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedHop:
    """The answer to ConvertHop: as many samples, and the lane thread's CPU time over them."""

    samples: Samples
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureVoice:
    """Measure a reference clip."""

    clip: Samples
    sample_rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableClip:
    """The answer to MeasureVoice when the clip holds no usable speech."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseVoice:
    """Forget a call."""

    call_id: str


class VoicePipeline:
    """The voice engine's calls."""

    def __init__(self, engine: VoiceEngine) -> None:
        self._engine = engine
        self._streams: dict[str, VoiceStream] = {}

    def handle(self, job: Any) -> Any:
        """Do one job; what it raises goes back to whoever asked."""
        match job:
            case ConvertHop():
                return self._convert(job)
            case OpenVoice():
                return self._open(job)
            case SetVoice():
                self._streams[job.call_id].set_voice(job.settings)
            case MeasureVoice():
                return self._measure(job)
            case CloseVoice():
                self._streams.pop(job.call_id, None)
            case _:
                raise TypeError(type(job).__name__)
        return None

    def _open(self, job: OpenVoice) -> float:
        stream = self._engine.open(sample_rate_hz=job.sample_rate_hz, hop_ms=job.hop_ms, settings=job.settings)
        self._streams[job.call_id] = stream
        return stream.delay_ms

    def _convert(self, job: ConvertHop) -> ConvertedHop:
        began_s = time.thread_time()
        converted = self._streams[job.call_id].convert(job.samples)
        if len(converted) != len(job.samples):
            raise ValueError("hop length changed")
        cpu_ms = (time.thread_time() - began_s) * 1000.0
        return ConvertedHop(samples=np.asarray(converted, np.float32), cpu_ms=cpu_ms)

    def _measure(self, job: MeasureVoice) -> VoiceProfile | UnusableClip:
        try:
            return self._engine.measure(job.clip, job.sample_rate_hz)
        except ValueError as unusable:
            return UnusableClip(sentence=str(unusable))
