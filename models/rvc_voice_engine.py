"""The neural voice engine: imported RVC voices, streaming, in ONNX Runtime. One `VoiceEngine` as in `models.engines`.

A hop goes down to 16 kHz, ContentVec says what is said and RMVPE at which pitch, both over the last second; only the
newest frames are committed (`voice_timeline`). The voice's latent graph and decoder graph turn them into sound, the hop
is cut out hard (`voice_seam` guards the cuts) and goes up to the stream's rate. A stream takes hops of any rung of the
ladder, in any order: a move along it needs no word here and makes no seam. The delay never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from models import rmvpe_decode, rmvpe_front
from models.engines import Samples, VoiceProfile, VoiceSettings, VoiceStream
from models.resample import Resampler
from models.runtime import Graph, OnnxGraph, Placement
from models.voice_ends import limit
from models.voice_graph import FRAME_MS, HOPS_MS, LOOK_AHEAD_FRAMES, Rung
from models.voice_networks import (
    CONTENT_SAMPLES,
    CONTENT_V1,
    CONTENT_V2,
    PITCH,
    PITCH_FRAMES,
    VoiceNetwork,
    VoiceNetworkStore,
)
from models.voice_probe import decoder_probe, latent_probe
from models.voice_seam import SeamGuard
from models.voice_store import VoiceStore
from models.voice_timeline import VoiceTimeline

LISTENING_HZ = 16_000
FRAME_SAMPLES = LISTENING_HZ * FRAME_MS // 1000
CONTENT_STEP_FRAMES = 2
"""A frame of ContentVec is 20 ms: each is committed twice."""
PITCH_SAMPLES = (PITCH_FRAMES - 1) * FRAME_SAMPLES
PITCH_SEMITONES_MOST = 24.0
_STREAM_RATES_HZ = (16_000, 48_000)
_SEED = 1
_ON_THE_CPU = Placement()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVoice:
    """The networks of one voice, on their device; shared by all its streams, which take turns."""

    content: Graph
    """Sound at 16 kHz [1, CONTENT_SAMPLES] to features [1, 50, feature_width]."""
    pitch: Graph
    """Log mel [1, 128, 96] to salience [1, 96, 360]."""
    latent: Mapping[Rung, Graph]
    decoder: Mapping[Rung, Graph]
    feature_width: int
    sample_rate_hz: int

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
        self._wave = np.zeros(max(CONTENT_SAMPLES, PITCH_SAMPLES), np.float32)
        self._guard = SeamGuard(voice.sample_rate_hz)
        self._timeline = VoiceTimeline(feature_width=voice.feature_width, frame_samples=voice.frame_samples, seed=_SEED)
        self.delay_ms = LOOK_AHEAD_FRAMES * FRAME_MS + 1000 * (self._down.delay_s + self._up.delay_s)

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
        rung = self._rung(len(hop))
        clean = np.clip(np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0), -1.0, 1.0)
        self._listen(self._down.convert(clean), rung)
        timeline, voice = self._timeline, self._voice
        [latent] = voice.latent[rung].run(timeline.latent_feeds(rung, 0))
        timeline.commit_latent(latent)
        [audio] = voice.decoder[rung].run(timeline.decoder_feeds(rung, 0))
        joined = self._guard.join(*timeline.cut(audio, rung))
        return limit(self._up.convert(joined.astype(np.float64)))

    def _rung(self, samples: int) -> Rung:
        rung = Rung(samples * 1000 // self._sample_rate_hz)
        if samples * 1000 % self._sample_rate_hz or rung not in self._voice.decoder:
            known = ", ".join(str(known.hop_ms) for known in self._voice.decoder)
            raise ValueError(f"A hop of this stream lasts {known} ms.")
        return rung

    def _listen(self, wave: NDArray[np.float64], rung: Rung) -> None:
        """Commit what is new in the last second of sound."""
        self._wave = np.concatenate([self._wave[len(wave) :], wave.astype(np.float32)])
        [content] = self._voice.content.run({CONTENT_V2.given: self._wave[None, -CONTENT_SAMPLES:]})
        features = content[0, -(rung.hop // CONTENT_STEP_FRAMES) :].repeat(CONTENT_STEP_FRAMES, axis=0)
        self._timeline.commit(features, self._pitch_hz(rung) * 2 ** (self._settings.pitch_semitones / 12))

    def _pitch_hz(self, rung: Rung) -> NDArray[np.float64]:
        """Of the hop's frames. The last frame of the picture is centred on the end, half of it mirrored: left out."""
        picture = rmvpe_front.log_mel(self._wave[-PITCH_SAMPLES:])
        [salience] = self._voice.pitch.run({PITCH.given: picture[None]})
        return rmvpe_decode.pitch_hz(salience[0, -(rung.hop + 1) : -1])


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
        self._rungs = tuple(Rung(hop_ms) for hop_ms in hops_ms)
        self._loaded = cache(self._load)
        self._listener = cache(self._listen)  # voices share what hears

    def prewarm(self, voice_id: str) -> None:
        """Load a voice and run each of its graphs once, before a call waits for it. Raises as `open`."""
        self._loaded(voice_id)

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call. Raises `VoiceRefused`, `NetworkError`, or ValueError for settings, rate or hop."""
        check(settings)
        if Rung(hop_ms) not in self._rungs:
            raise ValueError(f"The hop must be one of {', '.join(str(rung.hop_ms) for rung in self._rungs)} ms.")
        voice = self._loaded(settings.preset)
        return RvcVoiceStream(voice, sample_rate_hz=sample_rate_hz, settings=settings)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Never: an imported voice sounds like whose it is. Raises ValueError."""
        raise ValueError("An imported voice takes no reference clip; choose one of the built-in voices for that.")

    def _load(self, voice_id: str) -> LoadedVoice:
        record, paths = self._voices.record(voice_id), self._voices.graphs(voice_id)
        content = CONTENT_V2 if record.feature_width == CONTENT_V2.output_shape[-1] else CONTENT_V1
        voice = LoadedVoice(
            content=self._listener(content),
            pitch=self._listener(PITCH),
            latent=dict.fromkeys(self._rungs, OnnxGraph(paths.latent, placement=self._placement)),
            decoder=dict.fromkeys(self._rungs, OnnxGraph(paths.decoder, placement=self._placement)),
            feature_width=record.feature_width,
            sample_rate_hz=record.sample_rate_hz,
        )
        warm(voice)
        return voice

    def _listen(self, network: VoiceNetwork) -> Graph:
        return OnnxGraph(self._networks.graph(network), placement=self._placement)


def warm(voice: LoadedVoice) -> None:
    """Run every graph once: the first run of each is the slow one."""
    voice.content.run({CONTENT_V2.given: np.zeros(CONTENT_V2.given_shape, np.float32)})
    voice.pitch.run({PITCH.given: np.zeros(PITCH.given_shape, np.float32)})
    for rung, graph in voice.latent.items():
        graph.run(latent_probe(rung, voice.feature_width))
    for rung, graph in voice.decoder.items():
        graph.run(decoder_probe(rung, voice.frame_samples))


def check(settings: VoiceSettings) -> None:
    """Refuse what an imported voice cannot do: ValueError with a sentence for the user."""
    if not isfinite(settings.pitch_semitones) or abs(settings.pitch_semitones) > PITCH_SEMITONES_MOST:
        raise ValueError(f"The pitch must lie within {PITCH_SEMITONES_MOST:.0f} semitones of your own.")
    if settings.formant_ratio != 1.0 or settings.breath != 0.0 or settings.reference is not None:
        raise ValueError("An imported voice has no formant, breath or reference control; the built-in voices have.")
