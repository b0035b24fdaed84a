"""How long the voice stays in the server, from PCM in to PCM out: `python -m tests.bench.residence_bench [SECONDS]`.

Speech goes in as packets of 20 ms in real time, without a network, each when its last sample was captured. A hop's
residence is the time from the capture of its first sample to when the frame that says it can be sent: the hop itself,
the engine's content delay, its run time and the lane. The first sample of a hop waits longest; the others wait less.
`leaves` is the same for what leaves paced, as on WebRTC, where the cushion against jitter is added.

    python -m tests.bench.residence_bench 60           # the embedded engine, through its lane and AudioPath
    python -m tests.bench.residence_bench 20 rvc       # an imported voice of full size, random weights; needs PyTorch
    python -m tests.bench.residence_bench 20 rvc DIR   # the same, kept in DIR for the next time

The bounds are 90 ms for the embedded engine on a CPU and 110 ms for an imported voice on a GPU, 95th percentiles at hop
40. An imported voice is run hop by hop without waiting; where it takes longer than it lasts there is no residence, it
would grow, and the ratio of the two is what counts.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mirage_rtc import voice_commands
from mirage_rtc.audio_path import AudioPath
from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.inference import Lane
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.lip_sync import SyncRule
from mirage_rtc.metrics import Metrics
from mirage_rtc.voice_options import VoiceOptions
from mirage_rtc.voice_seat import VoiceSeat
from models import runtime
from models.engines import VoiceSettings
from models.imported_voices import ImportedVoices
from models.rvc_voice_engine import RvcVoiceEngine, RvcVoiceStream
from models.voice_graph import HOPS_MS
from tests import speech

RATE_HZ = 48_000
PACKET = RATE_HZ // 50
HOP_MS = 40
BOUND_MS = {"embedded": 90.0, "rvc": 110.0}
SETTLED_S = 2.0
"""The first hops wait for the path to open."""

Figures = NDArray[np.float64]


async def embedded(seconds: float, *, paced: bool) -> Figures:
    """Residences in ms, of the first sample of every hop, or of every frame that left if `paced`."""
    spec = LaneSpec(
        engine="models.voice_engine_choice:open_voice_engine",
        pipeline="mirage_rtc.voice_pipeline:VoicePipeline",
        arguments={"choice": "embedded"},
    )
    lane = Lane("voice", spec)
    await lane.start()
    try:
        return await _through(lane, seconds, paced=paced)
    finally:
        await lane.close()


async def _through(lane: Lane, seconds: float, *, paced: bool) -> Figures:
    seat = VoiceSeat(lane, call_id="bench", sample_rate_hz=RATE_HZ, hop_ms=HOP_MS, settings=VoiceSettings())
    path = AudioPath(
        seat=seat,
        gate=SoundGate(on_kind=lambda _: None),
        sync=SyncRule(),
        clock=time.monotonic,
        metrics=Metrics(),
        frame_samples=PACKET,
        fill=paced,
    )
    await seat.open()
    left: list[tuple[float, SafeSound]] = []
    tasks = [asyncio.create_task(path.run()), asyncio.create_task(_listen(path, left))]
    await _speak(path, seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    settled_s = left[0][1].capture_s + SETTLED_S
    spoken = [(at_s, sound) for at_s, sound in left if sound.kind == "live" and sound.capture_s > settled_s]
    per_hop = 1 if paced else HOP_MS * RATE_HZ // 1000 // PACKET
    figures = np.array([1000 * (at_s - sound.capture_s) for at_s, sound in spoken])
    # Frames of one hop become ready together; the first of them has waited longest.
    return np.asarray(figures[: len(figures) // per_hop * per_hop].reshape(-1, per_hop).max(axis=1))


async def _speak(path: AudioPath, seconds: float) -> None:
    """Packets of 20 ms at the time when a microphone would have them whole."""
    sound = speech.speech(seconds, RATE_HZ)
    began_s = time.monotonic()
    for number in range(len(sound) // PACKET):
        captured_s = began_s + number * PACKET / RATE_HZ
        await asyncio.sleep(captured_s + PACKET / RATE_HZ - time.monotonic())
        first = number * PACKET
        path.push(sound[first : first + PACKET], capture_s=captured_s, position=first)
    await asyncio.sleep(0.3)


async def _listen(path: AudioPath, left: list[tuple[float, SafeSound]]) -> None:
    while True:
        sound = await path.next()
        left.append((time.monotonic(), sound))


def make_voice(data_dir: Path) -> None:
    """An imported voice with the networks that it needs, of full size, in weights of no person. Takes minutes."""
    import torch

    from tests.test_network_import import hubert, rmvpe
    from tests.voice_checkpoints import checkpoint, voice_file

    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        for name, made in (("rmvpe.pt", rmvpe), ("pytorch_model.bin", hubert)):
            torch.save(made(), Path(folder) / name)
            voice_commands.run(VoiceOptions(task="prepare", file=Path(folder) / name), data_dir, console)
        options = VoiceOptions(
            task="import",
            file=voice_file(Path(folder), checkpoint(48000, "v2")),
            name="random",
            attested_by="the bench",
            subject="nobody",
            purpose="timing",
            licence="none",
            i_attest=True,
        )
        voice_commands.run(options, data_dir, console)


def imported(data_dir: Path, seconds: float) -> None:
    """Print what a hop of the voice takes, stage by stage, at every rung."""
    voices = ImportedVoices(data_dir)
    if not voices.offered():
        make_voice(data_dir)
    provider: runtime.Provider = "cuda" if runtime.usable("cuda") else "cpu"
    placement = runtime.Placement(provider=provider, threads=1 if provider == "cuda" else 2)
    [name] = voices.store.voices()
    engine = RvcVoiceEngine(voices.store, voices.networks, placement=placement)
    engine.prewarm(name)
    sound = speech.speech(seconds, RATE_HZ)
    _say(f"imported voice, random weights, 48 kHz v2, on {provider}, {placement.threads} threads; ms by the clock")
    _say(" hop   encode       f0  convert     post      p50      p95  ratio  residence p95")
    for hop_ms in HOPS_MS:
        stream = engine.open(sample_rate_hz=RATE_HZ, hop_ms=hop_ms, settings=VoiceSettings(preset=name))
        assert isinstance(stream, RvcVoiceStream)
        hop = RATE_HZ * hop_ms // 1000
        stages, took_ms = [], []
        for first in range(0, len(sound) - hop + 1, hop):
            begun_s = time.perf_counter()
            stream.convert(sound[first : first + hop])
            took_ms.append(1000 * (time.perf_counter() - begun_s))
            stages.append(list(stream.stage_ms.values()))
        p50, p95 = np.percentile(took_ms, (50, 95))
        by_stage = " ".join(f"{value:8.1f}" for value in np.median(stages, axis=0))
        kept_up = p95 < hop_ms
        residence = f"{hop_ms + stream.delay_ms + p95:.0f} ms" if kept_up else "none: slower than speech"
        _say(f"{hop_ms:4} {by_stage} {p50:8.1f} {p95:8.1f} {p50 / hop_ms:6.2f}  {residence}")
    _say(f"bound: {BOUND_MS['rvc']:.0f} ms at hop {HOP_MS} on a GPU")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(seconds: float, what: str, data_dir: Path | None) -> None:
    """Print one engine's figures."""
    if what == "rvc":
        with tempfile.TemporaryDirectory() as folder:
            imported(data_dir or Path(folder), seconds)
        return
    for paced in (False, True):
        figures = asyncio.run(embedded(seconds, paced=paced))
        p50, p95 = np.percentile(figures, (50, 95))
        word = "leaves   " if paced else "residence"
        _say(
            f"embedded, hop {HOP_MS}: {word} p50 {p50:.1f} p95 {p95:.1f} max {figures.max():.1f} ms, n = {len(figures)}"
        )
    _say(f"bound: residence p95 {BOUND_MS['embedded']:.0f} ms")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        float(arguments[0]) if arguments else 60.0,
        arguments[1] if len(arguments) > 1 else "embedded",
        Path(arguments[2]) if len(arguments) > 2 else None,
    )
