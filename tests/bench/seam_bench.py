"""Does the hop show? `python -m tests.bench.seam_bench [SECONDS [world|psola|rvc|full ...]]`, a table for each engine.

For every rung of the ladder, on the two LibriSpeech clips where they are beside the repository (else on synthetic
speech): log mel correlation and F0 against a hop of 40 ms, the jump at the cuts and the lines at the rate of hops. Then
an engine that forgets, for what seams look like. `rvc` speaks with the small networks of `tests.lively_voice`; `full`
with ContentVec, RMVPE and a generator of the published sizes and weights of no person (PyTorch, minutes a second).
"""

import sys
import time
from collections.abc import Mapping

import numpy as np

from models.engines import Samples, VoiceEngine, VoiceSettings
from models.psola_voice_engine import PsolaVoiceEngine
from models.rvc_voice_engine import LoadedVoice
from models.voice_graph import HOPS_MS, LADDER
from models.voice_networks import CONTENT_V2
from models.voice_pitch import RmvpePitch
from models.world_voice_engine import WorldVoiceEngine
from tests import lively_voice, speech
from tests.seam_measures import RATE_HZ, Cut, Forgetful, OneVoice, cut_runs, hop_lines_db, jump_ratio
from tests.voice_measures import cents, log_mel, pitch
from tests.voice_stand_ins import Array, StandIn

LOWER = VoiceSettings(preset="lower")
_STEP_MS = 20


def _full_voice() -> LoadedVoice:
    """The published architecture, in torch."""
    import torch

    from models.convert import hubert_network, rmvpe_network, weights
    from models.convert.rvc_checkpoint import norm_axis
    from models.convert.rvc_network import RvcNetwork
    from models.convert.streaming_graph import DecoderGraph, LatentGraph
    from tests import voice_checkpoints

    torch.set_num_threads(1)

    def filled(network: torch.nn.Module, axis: weights.NormAxis) -> torch.nn.Module:
        made = {name: value.float() for name, value in voice_checkpoints.random_weights(network, axis).items()}
        weights.load("random", network, made, axis)
        return network.eval()

    def graph(network: torch.nn.Module) -> StandIn:
        def answer(feeds: Mapping[str, Array]) -> Array:
            with torch.inference_mode():
                return np.asarray(network(*(torch.from_numpy(np.ascontiguousarray(each)) for each in feeds.values())))

        return StandIn(answer)

    shape = voice_checkpoints.shape(40_000, "v2")
    with torch.device("meta"):
        content, tracker = hubert_network.HubertNetwork(), rmvpe_network.RmvpeNetwork()
        voice = RvcNetwork(shape)
    speaker = filled(voice, norm_axis)
    assert isinstance(speaker, RvcNetwork)
    return LoadedVoice(
        content=graph(filled(content, hubert_network.norm_axis)),
        pitch=RmvpePitch(graph(filled(tracker, rmvpe_network.norm_axis))),
        latent=dict.fromkeys(LADDER, graph(LatentGraph(speaker).eval())),
        decoder=dict.fromkeys(LADDER, graph(DecoderGraph(speaker).eval())),
        feature_width=CONTENT_V2.output_shape[-1],
        sample_rate_hz=shape.sample_rate_hz,
    )


def _engine(name: str) -> VoiceEngine:
    if name == "full":
        return OneVoice(_full_voice())
    engines: dict[str, VoiceEngine] = {
        "world": WorldVoiceEngine(),
        "psola": PsolaVoiceEngine(),
        "rvc": OneVoice(lively_voice.voice()),
    }
    return engines[name]


def _cuts(wave: Samples, engine: VoiceEngine, hop_ms: int, most_runs: int) -> list[Cut]:
    return list(cut_runs(wave, LOWER, engine=engine, hop_ms=hop_ms, runs=min(most_runs, hop_ms // _STEP_MS)))


def _row(wanted: list[Samples], runs: list[list[Cut]]) -> list[float]:
    """Likeness of the first run of each wave to what is wanted, then the cuts of all."""
    pairs = [(one, cuts[0].wave) for one, cuts in zip(wanted, runs, strict=True)]
    mel = min(float(np.corrcoef(log_mel(one).ravel(), log_mel(other).ravel())[0, 1]) for one, other in pairs)
    alike = min(float(np.corrcoef(one, other)[0, 1]) for one, other in pairs)
    apart = np.abs(np.concatenate([cents(pitch(one), pitch(other)) for one, other in pairs]))
    cuts = [cut for run in runs for cut in run]
    # A line at the rate of hops needs dozens of them.
    lines_db = hop_lines_db(cuts) if len(cuts[0].wave) > 30 * cuts[0].period else float("nan")
    return [mel, alike, float(np.median(apart)), float(np.percentile(apart, 95)), jump_ratio(cuts), lines_db]


def _print_engine(name: str, waves: list[Samples], most_runs: int) -> None:
    engine = _engine(name)
    delay_ms = engine.open(sample_rate_hz=RATE_HZ, hop_ms=40, settings=LOWER).delay_ms
    print(f"\n{name}: delay {delay_ms:.2f} ms besides the hop")  # noqa: T201
    print("hop_ms  log mel  wave     F0 median, 95 % (cents)  jump  lines_dB  cuts  CPU/s")  # noqa: T201
    wanted: list[Samples] = []
    for hop_ms in HOPS_MS:
        began = time.thread_time()
        runs = [_cuts(wave, engine, hop_ms, most_runs) for wave in waves]
        cuts = [cut for run in runs for cut in run]
        spent = (time.thread_time() - began) / sum(len(cut.wave) for cut in cuts) * RATE_HZ
        wanted = wanted or [run[0].wave for run in runs]
        count = sum(len(cut.wave) // cut.period for cut in cuts)
        row = "{:6d}  {:.5f}  {:.5f}  {:10.2f} {:12.2f} {:7.2f} {:9.1f} {:5d} {:6.2f}"
        print(row.format(hop_ms, *_row(wanted, runs), count, spent), flush=True)  # noqa: T201
    for hop_ms in () if name == "full" else (40, 120, 200):
        cuts = [cut for wave in waves for cut in _cuts(wave, Forgetful(engine), hop_ms, 1)]
        print(f"forgetful, {hop_ms} ms: jump {jump_ratio(cuts):.2f}, lines {hop_lines_db(cuts):.1f} dB")  # noqa: T201


def main(seconds: float, names: list[str]) -> None:
    """Print a table for each engine, of at most `seconds` of each voice."""
    waves = [wave[: int(seconds * RATE_HZ) // 9600 * 9600] for wave in speech.voices(RATE_HZ, seconds).values()]
    for name in names:
        _print_engine(name, waves[:1] if name == "full" else waves, 1 if name == "full" else 5)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0, sys.argv[2:] or ["world", "psola", "rvc"])
