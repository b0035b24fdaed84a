"""The neural voice engine: imported RVC voices, streaming, in ONNX Runtime. One `VoiceEngine` as in `models.engines`.

A hop goes down to 16 kHz, ContentVec says what is said and RMVPE at which pitch, every 20 ms over the last second
(`voice_listening`), and that is committed once (`voice_timeline`). The voice's latent graph and decoder graph turn it
into sound, the hop is cut out hard (`voice_seam` guards the cuts) and goes up to the stream's rate. A stream takes hops
of any rung of the ladder, in any order: a move along it needs no word here and makes no seam. The delay never changes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import voice_front
from models.auto_pitch import AutoPitch
from models.engines import Samples, VoiceProfile, VoiceSettings, VoiceStream
from models.gpu_loss import watched
from models.loaded_voices import LoadedVoices
from models.resample import Resampler
from models.runtime import Graph, OnnxGraph, Placement
from models.shared_graph import SharedGraph
from models.stage_watch import StageWatch
from models.voice_ends import limit
from models.voice_graph import AHEAD_FRAMES, FRAME_MS, HOPS_MS, STEP_FRAMES, Rung
from models.voice_index import VoiceIndex, blend
from models.voice_listening import LATE_MS, Listener
from models.voice_networks import CONTENT_V1, CONTENT_V2, VoiceNetwork, VoiceNetworkStore
from models.voice_pitch import STEP_SAMPLES, PitchTracker, choose_pitch
from models.voice_probe import decoder_probe, latent_probe
from models.voice_seam import SeamGuard
from models.voice_store import VoiceStore
from models.voice_timeline import Frames, VoiceTimeline

logger = logging.getLogger(__name__)

LISTENING_HZ = 16_000
PITCH_SEMITONES_MOST = 24.0
FORMANT_RANGE = (0.89, 1.12)
"""Two semitones either way: the decoder's window holds no more, and no more sounds like the voice."""
_STREAM_RATES_HZ = (16_000, 48_000)
KEPT_VOICES = 4
"""The last ones wanted, beside those that streams use: some hundred megabytes each."""
_SEED = 1
_ON_THE_CPU = Placement()


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class LoadedVoice:
    """The networks of one voice, on their device; shared by all its streams, which take turns."""

    content: Graph
    """Windows of sound at 16 kHz [n, CONTENT_SAMPLES] to features [n, 50, feature_width]."""
    pitch: PitchTracker
    latent: Mapping[Rung, Graph]
    decoder: Mapping[Rung, Graph]
    feature_width: int
    sample_rate_hz: int
    index: VoiceIndex | None = None
    pitch_hz: float | None = None
    """Its usual pitch, where it is known."""

    @property
    def frame_samples(self) -> int:
        """Samples of one 10 ms frame of this voice."""
        return self.sample_rate_hz * FRAME_MS // 1000


class RvcVoiceStream:
    """One call's voice."""

    def __init__(self, voice: LoadedVoice, *, sample_rate_hz: int, settings: VoiceSettings) -> None:
        """At 16 or 48 kHz; ValueError otherwise, and as in `check`."""
        if sample_rate_hz not in _STREAM_RATES_HZ:
            raise ValueError("The voice engine runs at 16000 or 48000 Hz.")
        check(settings)
        self._voice = voice
        self._settings = settings
        self._sample_rate_hz = sample_rate_hz
        self._down = Resampler(sample_rate_hz, LISTENING_HZ)
        self._up = Resampler(voice.sample_rate_hz, sample_rate_hz)
        self._ears = Listener(voice.content, voice.pitch)
        self._auto = None if voice.pitch_hz is None else AutoPitch(voice.pitch_hz)
        self._guard = SeamGuard(voice.sample_rate_hz)
        self._timeline = VoiceTimeline(feature_width=voice.feature_width, frame_samples=voice.frame_samples, seed=_SEED)
        # A kept step of content begins LATE_MS before the end of what was heard, and is 20 ms of sound.
        late_ms = LATE_MS - STEP_FRAMES * FRAME_MS + AHEAD_FRAMES * FRAME_MS
        self.stage_ms: dict[str, float] = {}
        """What each stage of the last hop took by the clock: encode, f0, convert, post."""
        self.delay_ms = late_ms + 1000 * (self._down.delay_s + self._up.delay_s)

    @property
    def fades(self) -> int:
        """Cuts so far that needed a cross-fade; 0 in a stream that runs as it should."""
        return self._guard.fades

    def set_voice(self, settings: VoiceSettings) -> None:
        """Another pitch from the next hop on; ValueError as in `check`, or for another voice, another stream."""
        check(settings)
        if settings.preset != self._settings.preset:
            raise ValueError("A stream keeps its imported voice: start the voice anew to change it.")
        self._settings = settings

    def convert(self, hop: Samples) -> Samples:
        """Convert one hop of any rung that is loaded, n samples to n; ValueError for another length."""
        rung, watch = self._rung(len(hop)), StageWatch()
        clean = np.clip(np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0), -1.0, 1.0)
        self._listen(self._down.convert(clean).astype(np.float32), watch)
        timeline, voice = self._timeline, self._voice
        [latent] = voice.latent[rung].run(timeline.latent_feeds(rung, 0))
        timeline.commit_latent(latent)
        [audio] = voice.decoder[rung].run(timeline.decoder_feeds(rung, 0))
        watch.mark("convert")
        joined = self._guard.join(*timeline.cut(audio, rung))
        spoken = limit(self._up.convert(joined.astype(np.float64)))
        watch.mark("post")
        self.stage_ms = watch.wall_ms
        return spoken

    def _rung(self, samples: int) -> Rung:
        rung = Rung(samples * 1000 // self._sample_rate_hz)
        if samples * 1000 % self._sample_rate_hz or rung not in self._voice.decoder:
            known = ", ".join(str(known.hop_ms) for known in self._voice.decoder)
            raise ValueError(f"A hop of this stream lasts {known} ms.")
        return rung

    def _listen(self, wave: NDArray[np.float32], watch: StageWatch) -> None:
        """Commit the steps of 20 ms that are new."""
        heard = self._ears.hear(wave, watch)
        self._timeline.formant_ratio = self._settings.formant_ratio
        ratio = self._pitch_ratio(heard.pitch_hz)
        self._timeline.commit(
            self._frames(heard.content, heard.pitch_hz * ratio),
            self._frames(heard.content_ahead, heard.pitch_ahead_hz * ratio[-1]),
        )

    def _pitch_ratio(self, pitch_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much each frame's pitch [n] is to be higher."""
        ratio = 2 ** (self._settings.pitch_semitones / 12)
        found = np.ones(len(pitch_hz)) if self._auto is None else self._auto.follow(pitch_hz)
        return ratio * found if self._settings.auto_pitch else np.full(len(pitch_hz), ratio)

    def _frames(self, content: NDArray[np.float32], pitch_hz: NDArray[np.float64]) -> Frames:
        return Frames(features=self._features(content, pitch_hz), pitch_hz=pitch_hz)

    def _features(self, content: NDArray[np.float32], pitch_hz: NDArray[np.float64]) -> NDArray[np.float32]:
        """Of the hop's frames [hop, width], out of the voice's own recordings as far as the index rate says."""
        features, index, rate = content.repeat(STEP_FRAMES, axis=0), self._voice.index, self._settings.index_rate
        if index is None or rate == 0:
            return features
        retrieved = index.retrieve(content).repeat(STEP_FRAMES, axis=0)
        return blend(features, retrieved, pitch_hz, rate, self._settings.protect)


class RvcVoiceEngine:
    """Opens streams of imported voices; `VoiceSettings.preset` is the id of one. Loads a voice when first asked for."""

    name = "rvc"

    def __init__(
        self,
        voices: VoiceStore,
        networks: VoiceNetworkStore,
        *,
        placement: Placement = _ON_THE_CPU,
        hops_ms: Sequence[int] = HOPS_MS,
    ) -> None:
        """`hops_ms`: the rungs to warm; all of them are one graph with its weights loaded once."""
        self._voices = voices
        self._networks = networks
        self._placement = placement
        self._half = placement.provider != "cpu"  # a CPU computes it in full precision, and casts
        self._rungs = tuple(Rung(hop_ms) for hop_ms in hops_ms)
        self._loaded: LoadedVoices[LoadedVoice] = LoadedVoices(KEPT_VOICES)
        self._listener = cache(self._listen)  # voices share what hears
        self._pitch = cache(self._choose_pitch)

    def load(self, voice_id: str) -> None:
        """Load a voice afresh; nothing runs yet. The threads of its networks have the priority of this one."""
        self._loaded.add(voice_id, self._load(voice_id))

    def is_loaded(self, voice_id: str) -> bool:
        """Whether it is still there: of those that no stream uses, `KEPT_VOICES` are."""
        return self._loaded.get(voice_id) is not None

    def prewarm(self, voice_id: str) -> None:
        """Run each graph of a voice once, before a call waits for it, and load it if need be. Raises as `open`."""
        warm(self._found(voice_id))

    def forget(self, voice_id: str) -> None:
        """The voice is another now, or gone: streams that are open keep it, the next one loads it afresh."""
        self._loaded.forget(voice_id)

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call. Raises `VoiceRefused`, `NetworkError`, or ValueError for settings, rate or hop.

        A GPU that is lost ends the process (`models.gpu_loss`), at loading, at opening and in streams.
        """
        check(settings)
        if Rung(hop_ms) not in self._rungs:
            raise ValueError(f"The hop must be one of {', '.join(str(rung.hop_ms) for rung in self._rungs)} ms.")
        return RvcVoiceStream(self._found(settings.preset), sample_rate_hz=sample_rate_hz, settings=settings)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Never: an imported voice sounds like whose it is. Raises ValueError."""
        raise ValueError("An imported voice takes no reference clip; choose one of the built-in voices for that.")

    def _found(self, voice_id: str) -> LoadedVoice:
        voice = self._loaded.get(voice_id)
        if voice is None:
            voice = self._load(voice_id)
            self._loaded.add(voice_id, voice)
        return voice

    def _load(self, voice_id: str) -> LoadedVoice:
        record, paths = self._voices.record(voice_id), self._voices.graphs(voice_id, half=self._half)
        content = CONTENT_V2 if record.feature_width == CONTENT_V2.output_shape[-1] else CONTENT_V1
        return LoadedVoice(
            content=self._listener(content),
            pitch=self._pitch(),
            latent=dict.fromkeys(self._rungs, self._graph(paths.latent)),
            decoder=dict.fromkeys(self._rungs, self._graph(paths.decoder)),
            feature_width=record.feature_width,
            sample_rate_hz=record.sample_rate_hz,
            index=self._voices.index(voice_id),
            pitch_hz=record.pitch_hz,
        )

    def _listen(self, network: VoiceNetwork) -> Graph:
        return SharedGraph(self._graph(self._networks.graph(network, half=self._half)))

    def _graph(self, path: Path) -> Graph:
        return watched(self._placement, lambda: OnnxGraph(path, placement=self._placement))

    def _choose_pitch(self) -> PitchTracker:
        tracker, why = choose_pitch(self._networks, self._placement, half=self._half)
        logger.info("imported voices: %s", why)
        return tracker


def warm(voice: LoadedVoice) -> None:
    """Run every graph once at every rung: the first run of each is the slow one."""
    for rung in voice.latent:
        Listener(voice.content, voice.pitch).hear(np.zeros(rung.steps * STEP_SAMPLES, np.float32))
    for rung, graph in voice.latent.items():
        graph.run(latent_probe(rung, voice.feature_width))
    for rung, graph in voice.decoder.items():
        graph.run(decoder_probe(rung, voice.frame_samples))


def check(settings: VoiceSettings) -> None:
    """Refuse what an imported voice cannot do: ValueError with a sentence for the user."""
    if not isfinite(settings.pitch_semitones) or abs(settings.pitch_semitones) > PITCH_SEMITONES_MOST:
        raise ValueError(f"The pitch must lie within {PITCH_SEMITONES_MOST:.0f} semitones of your own.")
    voice_front.check(settings)
    if not 0 <= settings.index_rate <= 1:
        raise ValueError("The index rate must lie between 0 and 1.")
    if not 0 <= settings.protect <= 0.5:
        raise ValueError("The protection must lie between 0 and 0.5.")
    if not isfinite(settings.formant_ratio) or not FORMANT_RANGE[0] <= settings.formant_ratio <= FORMANT_RANGE[1]:
        raise ValueError(f"The formant ratio must lie between {FORMANT_RANGE[0]} and {FORMANT_RANGE[1]}.")
    if settings.breath != 0.0 or settings.reference is not None:
        raise ValueError("An imported voice has no breath or reference control; the built-in voices have.")
