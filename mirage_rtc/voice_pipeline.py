"""One hop of samples, start to end, in the voice lane. Pure and synchronous; the counterpart of `swap_pipeline`."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from models.engines import Samples, VoiceEngine, VoiceProfile, VoiceSettings
from models.voice_change import CallVoice, Warming
from models.voice_front import VoiceFront
from models.voice_rack import VoiceRack


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVoice:
    """Make room for a call, or begin its voice afresh. Answered by OpenedVoice.

    Where `settings` name an imported voice that is not loaded yet, `until` is spoken: an embedded one.
    `hop_ms` is that of embedded voices; `delay_ms` the content delay that the call has grown to.
    """

    call_id: str
    sample_rate_hz: int
    hop_ms: int
    settings: VoiceSettings
    until: VoiceSettings = VoiceSettings()
    delay_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceUnable:
    """A voice cannot be worn at all, and why, for whoever runs the server: the sentence may name paths."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedVoice:
    """The answer to OpenVoice: which engine speaks from the next hop on, and the constant content delay.

    `waits`: it speaks `until`, because the other voice is being loaded, or is `unable`.
    """

    engine: str
    delay_ms: float
    waits: bool = False
    unable: VoiceUnable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVoice:
    """Change the controls of the voice that speaks, or the embedded voice, from the next hop on."""

    call_id: str
    settings: VoiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareVoice:
    """One step towards another voice, while the old one speaks. Answered by Prepared or VoiceUnable.

    `step` bounds what is fed, where it matters.
    """

    call_id: str
    settings: VoiceSettings
    step: Warming | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """How far the other voice is: once it is ready, the next hop that fits is its first.

    It was fed `fed_ms` of sound in this step, which took `run_ms`.
    """

    state: Literal["loading", "warming", "ready"]
    fed_ms: int = 0
    run_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertHop:
    """Convert one hop of a call."""

    call_id: str
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedHop:
    """The answer to ConvertHop: as many samples, what they cost, and whose they are.

    `cpu_ms` is the lane thread's CPU time, `run_ms` the time that passed: on a GPU the thread waits. `seams` and
    `switched` count cross-fades in this hop: cuts that did not go on, and a change of voice.
    """

    samples: Samples
    cpu_ms: float
    run_ms: float = 0.0
    stage_ms: dict[str, float] = field(default_factory=dict)
    engine: str = ""
    delay_ms: float | None = None
    seams: int = 0
    switched: bool = False


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
    """The voice engines' calls."""

    def __init__(self, engine: VoiceEngine) -> None:
        self._rack = engine if isinstance(engine, VoiceRack) else VoiceRack(engine)
        self._voices: dict[str, CallVoice] = {}
        self._fronts: dict[str, VoiceFront] = {}

    def handle(self, job: Any) -> Any:
        """Do one job; what it raises goes back to whoever asked."""
        match job:
            case ConvertHop():
                return self._convert(job)
            case PrepareVoice():
                return self._prepare(job)
            case OpenVoice():
                return self._open(job)
            case SetVoice():
                self._voices[job.call_id].set_voice(job.settings)
                self._fronts[job.call_id].set_voice(job.settings)
            case MeasureVoice():
                return self._measure(job)
            case CloseVoice():
                self._voices.pop(job.call_id, None)
                self._fronts.pop(job.call_id, None)
            case _:
                raise TypeError(type(job).__name__)
        return None

    def _open(self, job: OpenVoice) -> OpenedVoice:
        obstacle = self._obstacle(job.settings)
        speaks = job.settings if obstacle is None else job.until
        voice = self._voices.get(job.call_id)
        if voice is not None:
            voice.begin_again(speaks)
        else:
            voice = self._voices[job.call_id] = CallVoice(
                self._rack,
                sample_rate_hz=job.sample_rate_hz,
                hop_ms=job.hop_ms,
                settings=speaks,
                delay_ms=job.delay_ms,
            )
            self._fronts[job.call_id] = VoiceFront(sample_rate_hz=job.sample_rate_hz, settings=job.settings)
        self._fronts[job.call_id].set_voice(job.settings)
        return OpenedVoice(
            engine=self._rack.engine_of(speaks),
            delay_ms=voice.delay_ms,
            waits=obstacle is not None,
            unable=obstacle if isinstance(obstacle, VoiceUnable) else None,
        )

    def _prepare(self, job: PrepareVoice) -> Prepared | VoiceUnable:
        self._fronts[job.call_id].set_voice(job.settings)
        obstacle = self._obstacle(job.settings)
        if obstacle is not None:
            return obstacle
        if job.step is not None and not job.step.most_ms:
            return Prepared(state="warming")
        voice, began_s = self._voices[job.call_id], time.perf_counter()
        ready = voice.prepare(job.settings, job.step)
        run_ms = (time.perf_counter() - began_s) * 1000.0
        return Prepared(state="ready" if ready else "warming", fed_ms=voice.fed_ms, run_ms=run_ms)

    def _obstacle(self, settings: VoiceSettings) -> Prepared | VoiceUnable | None:
        """What keeps a voice from speaking at once: nothing, that it is loading, or why it cannot be loaded."""
        try:
            return None if self._rack.is_ready(settings) else Prepared(state="loading")
        except Exception as error:  # refusals bear a sentence; the runtime's class is not imported for this
            if not hasattr(error, "sentence"):
                raise
            return VoiceUnable(code=getattr(error, "code", "voice_not_loaded"), sentence=error.sentence)

    def _convert(self, job: ConvertHop) -> ConvertedHop:
        voice, front = self._voices[job.call_id], self._fronts[job.call_id]
        switches, seams = voice.switches, voice.seams
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        samples = front.leave(voice.convert(front.enter(job.samples)), voice.delay_ms)
        cpu_ms = (time.thread_time() - began_cpu_s) * 1000.0
        run_ms = (time.perf_counter() - began_s) * 1000.0
        switched = voice.switches > switches
        return ConvertedHop(
            samples=samples,
            cpu_ms=cpu_ms,
            run_ms=run_ms,
            stage_ms=dict(voice.stage_ms),
            engine=self._rack.engine_of(voice.settings),
            delay_ms=voice.delay_ms,
            seams=0 if switched else voice.seams - seams,
            switched=switched,
        )

    def _measure(self, job: MeasureVoice) -> VoiceProfile | UnusableClip:
        try:
            return self._rack.measure(job.clip, job.sample_rate_hz)
        except ValueError as unusable:
            return UnusableClip(sentence=str(unusable))
