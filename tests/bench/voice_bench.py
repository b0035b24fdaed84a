"""Measures an embedded voice engine, prints tables: `python -m tests.bench.voice_bench [SECONDS [world|psola]]`.

For every voice of `tests.speech` (recordings of people where they are beside the repository) and every preset:
similarity to the sender (Resemblyzer), STOI against the input, pitch interval, seams, changes of voicing a second,
loudness, and CPU time over the sound's duration. Then the same sound at other hops against 40 ms.
"""

import sys
import time
import warnings

import numpy as np

from models.engines import Samples, VoiceEngine, VoiceSettings
from models.psola_voice_engine import PsolaVoiceEngine
from models.resample import Resampler
from models.voice_presets import PRESETS
from models.world_voice_engine import WorldVoiceEngine
from tests import speaker_judge, speech
from tests.voice_measures import cents, convert, log_mel, open_stream, pitch, seam_ratio

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pystoi import stoi

RATE_HZ = 48_000
HOPS_MS = (20, 40, 60, 80, 120, 200)
ENGINES: dict[str, VoiceEngine] = {"world": WorldVoiceEngine(), "psola": PsolaVoiceEngine()}


def _at_16k(wave: Samples) -> Samples:
    return Resampler(RATE_HZ, 16_000).convert(wave[: len(wave) // 3 * 3].astype(np.float64)).astype(np.float32)


def _likeness(one: Samples, other: Samples) -> float:
    try:
        return speaker_judge.similarity(_at_16k(one), _at_16k(other))
    except speaker_judge.JudgeMissing:
        return float("nan")


def _settings(preset: str) -> VoiceSettings:
    return VoiceSettings(preset=preset, pitch_semitones=2.0 if preset == "custom" else 0.0)


def _costs(wave: Samples, settings: VoiceSettings, hop_ms: int, engine: VoiceEngine) -> tuple[float, float]:
    """Median and 99th percentile of CPU time over a hop's duration."""
    stream, hop = open_stream(settings, hop_ms=hop_ms, engine=engine), RATE_HZ * hop_ms // 1000
    costs = []
    for i in range(0, len(wave) - hop + 1, hop):
        start = time.thread_time()
        stream.convert(wave[i : i + hop])
        costs.append((time.thread_time() - start) / (hop_ms / 1000))
    return float(np.median(costs)), float(np.percentile(costs, 99))


def _row(wave: Samples, preset: str, engine: VoiceEngine) -> list[float]:
    settings = _settings(preset)
    out = convert(wave, settings, engine=engine)
    late = round(open_stream(settings, engine=engine).delay_ms * RATE_HZ / 1000)
    before, after = pitch(wave), pitch(out)
    interval = cents(before, after)
    flips = np.count_nonzero(np.diff((after > 0).astype(int))) / (len(wave) / RATE_HZ)
    return [
        _likeness(wave, out),
        float(stoi(_at_16k(wave), _at_16k(out), 16_000)),
        float(np.median(interval)) if len(interval) else float("nan"),
        float(np.mean(np.abs(interval - np.median(interval)) > 100) * 100) if len(interval) else float("nan"),
        seam_ratio(out, 1920, -late % 1920),
        float(flips),
        float(20 * np.log10(out.std() / wave.std())),
        *_costs(wave, settings, 40, engine),
    ]


def _print_presets(waves: dict[str, Samples], engine: VoiceEngine) -> None:
    print(f"{'preset':9} {'voice':10}   like   STOI   cents  gross%  seam  flips/s    dB  ratio   p99")  # noqa: T201
    for preset in PRESETS:
        rows = {name: _row(wave, preset.name, engine) for name, wave in waves.items()}
        rows["pooled"] = np.nanmean(list(rows.values()), axis=0).tolist()
        for name, row in rows.items():
            figures = "{:6.3f} {:6.3f} {:7.0f} {:7.1f} {:5.2f} {:8.1f} {:5.1f} {:6.3f} {:5.3f}".format(*row)
            print(f"{preset.name:9} {name:10} {figures}")  # noqa: T201


def _print_hops(waves: dict[str, Samples], engine: VoiceEngine) -> None:
    print("\nhop_ms  mel correlation with 40 ms  pitch cents  seam  ratio   p99")  # noqa: T201
    for hop_ms in HOPS_MS:
        rows = []
        for wave in waves.values():
            reference = convert(wave, _settings("lower"), engine=engine)
            out = convert(wave, _settings("lower"), hop_ms=hop_ms, engine=engine)
            period, delay_ms = RATE_HZ * hop_ms // 1000, open_stream(_settings("lower"), engine=engine).delay_ms
            seam = seam_ratio(out, period, -round(delay_ms * RATE_HZ / 1000) % period)
            alike = float(np.corrcoef(log_mel(reference).ravel(), log_mel(out).ravel())[0, 1])
            apart = float(np.median(np.abs(cents(pitch(reference), pitch(out)))))
            rows.append([alike, apart, seam, *_costs(wave, _settings("lower"), hop_ms, engine)])
        print("{:6d} {:27.4f} {:12.1f} {:5.2f} {:6.3f} {:5.3f}".format(hop_ms, *np.mean(rows, axis=0)))  # noqa: T201


def main(seconds: float, engine: VoiceEngine) -> None:
    """Print both tables for at most `seconds` of each voice."""
    if speech.have_recordings():
        waves = {name: speech.recording(name, RATE_HZ, seconds) for name in speech.RECORDINGS}
    else:
        waves = speech.voices(RATE_HZ, seconds)
    delay_ms = open_stream(VoiceSettings(), engine=engine).delay_ms
    print(f"{engine.name}: delay {delay_ms:.1f} ms besides the hop, {len(waves)} voices")  # noqa: T201
    _print_presets(waves, engine)
    _print_hops(waves, engine)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0, ENGINES[sys.argv[2] if len(sys.argv) > 2 else "world"])
