"""A voice file in RVC's exact layout, imported whole: graphs that give what torch gives, and a consent record."""

import asyncio
import dataclasses
import io
import json
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from numpy.typing import NDArray
from rich.console import Console

from mirage_rtc import voice_commands
from mirage_rtc.__main__ import main
from mirage_rtc.chunk_leg import CHUNK_RATE_HZ, CHUNK_SAMPLES
from mirage_rtc.grants import Grants
from mirage_rtc.inference import Lane
from mirage_rtc.voice_commands import run_graph
from mirage_rtc.voice_options import VoiceOptions
from mirage_rtc.voice_pipeline import CloseVoice, OpenVoice
from models.convert.onnx_export import WEIGHTS_NAME
from models.convert.rvc_checkpoint import read_voice
from models.convert.streaming_graph import DecoderGraph, LatentGraph
from models.convert.voice_import import TOLERANCE, VoiceExtras, compare, import_voice
from models.engines import Samples, VoiceSettings
from models.imported_voices import DELAY_MS, ImportedVoices
from models.rvc_voice_engine import RvcVoiceEngine, RvcVoiceStream
from models.voice_graph import LADDER, LATENT_AHEAD_FRAMES, Rung
from models.voice_probe import decoder_probe, latent_probe
from models.voice_refusal import VoiceRefused
from models.voice_store import VoiceRecord, VoiceStore
from tests import imported_lane, speech
from tests.call_parts import registry
from tests.faiss_writer import index_bytes, recordings
from tests.test_onnx_export import ASKING, operators
from tests.test_voice_store import CONSENT
from tests.voice_checkpoints import checkpoint, voice_file
from tests.voice_stand_ins import StandIn

AGREED: dict[str, Any] = {
    "attested_by": "Ada",
    "subject": "Grace H.",
    "purpose": "rehearsal",
    "licence": "CC-BY-4.0",
}
GRACE = VoiceSettings(preset="rvc:grace")
HOP_MS = 120
CHUNKS = 3


def imported(path: Path, store: VoiceStore, run: Any = run_graph, extras: VoiceExtras | None = None) -> VoiceRecord:
    """Under the name Grace."""
    extras = extras or VoiceExtras()
    return import_voice(
        path, name="Grace", consent=CONSENT, store=store, run=run, progress=lambda _: None, extras=extras
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[VoiceStore, VoiceRecord]:
    """A v2 voice of 40 kHz: imported once, by the command, since it takes seconds."""
    folder = tmp_path_factory.mktemp("data")
    index = folder / "added.index"
    index.write_bytes(index_bytes(recordings(768)))
    path = voice_file(folder, checkpoint(40000, "v2"))
    agreed = [word for name, value in AGREED.items() for word in (f"--{name.replace('_', '-')}", value)]
    given = ["--name", "Grace", "--index", str(index), "--pitch-hz", "210", "--relation", "permission", "--i-attest"]
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["voices", "import", str(path), "--data-dir", str(folder), *given, *agreed]) == 0
    said = " ".join(printed.getvalue().split())
    assert "RVC v2, 40 kHz, speaks at 210 Hz" in said
    assert "for that person it hides nothing" in said
    store = VoiceStore(folder / "voices")
    return store, store.record("grace")


def command(data_dir: Path, options: VoiceOptions) -> str:
    """What a command prints that succeeds."""
    console = Console(file=io.StringIO(), width=200)
    assert voice_commands.run(options, data_dir, console) == 0
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_voice_is_listed_tried_out_and_removed(stored: tuple[VoiceStore, VoiceRecord], tmp_path: Path) -> None:
    """As an operator types it, after `import`; whose it is was put on record."""
    data_dir = tmp_path / "data"
    shutil.copytree(stored[0].root.parent, data_dir)
    assert '"kind":"granted"' in (data_dir / "consent.jsonl").read_text()
    told = command(data_dir, VoiceOptions(task="list"))
    assert all(word in told for word in ("grace", "Grace H., Ada", "rehearsal", "CC-BY-4.0"))
    assert command(data_dir, VoiceOptions(task="test", name="grace")).count("sounds") == 7
    command(data_dir, VoiceOptions(task="remove", name="grace"))
    assert VoiceStore(data_dir / "voices").voices() == {}
    assert stored[0].voices() == {"grace": stored[1]}


def test_every_graph_gives_what_torch_gives(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """Each rung of the ladder was run in the runtime of the calls, and differs by at most 1e-4."""
    _, record = stored
    assert list(record.difference) == [rung.hop_ms for rung in LADDER]
    assert 0 <= max(record.difference.values()) <= TOLERANCE
    agreed = record.consent
    assert (agreed.attested_by, agreed.subject_name, agreed.relation) == ("Ada", "Grace H.", "permission")
    assert (agreed.purpose, agreed.licence) == ("rehearsal", "CC-BY-4.0")


def test_the_weights_are_stored_once(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """110 MB, half of it again in half precision, and four graphs of nodes."""
    store, _ = stored
    sizes = {path.name: path.stat().st_size for path in (store.root / "grace").iterdir()}
    assert 150e6 < sizes[WEIGHTS_NAME] < 190e6
    assert sum(sizes.values()) - sizes[WEIGHTS_NAME] < 2e6
    assert set(json.loads((store.root / "grace" / "pins.json").read_text())) == sizes.keys() - {"pins.json"}


def test_no_graph_computes_a_size(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """One size is open, and yet nothing is left for a CPU to do, in half precision neither."""
    store, _ = stored
    for paths in (store.graphs("grace"), store.graphs("grace", half=True)):
        assert (operators(paths.latent) | operators(paths.decoder)) & ASKING == set()


def test_both_graphs_bear_half_precision(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """The figures are on record; the variants are run where a GPU asks for them, and sound the same."""
    store, record = stored
    assert all(graph.stored and 0.999 <= graph.cosine <= 1 for graph in record.half.values())
    full, half = store.graphs("grace"), store.graphs("grace", half=True)
    assert set(record.half) == {"latent", "decoder"}
    given = decoder_probe(LADDER[0], record.frame_samples)
    apart = np.abs(run_graph(full.decoder, given) - run_graph(half.decoder, given)).max()
    assert full.decoder != half.decoder
    assert 0 < apart < 0.01


def test_a_stored_graph_runs_and_its_inputs_are_heard(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """Other features, pitch, phase, noise, speaker: another latent, other sound."""
    store, record = stored
    paths, rung = store.graphs("grace"), LADDER[0]
    decoder_given = decoder_probe(rung, record.frame_samples)
    audio = run_graph(paths.decoder, decoder_given)
    assert audio.shape == (1, rung.decoded * 400)
    assert 0 < np.abs(audio).max() <= 1
    latent_given = latent_probe(rung, record.feature_width)
    latent = run_graph(paths.latent, latent_given)
    assert latent.shape == (1, 192, rung.hop + LATENT_AHEAD_FRAMES)
    for path, given, before in ((paths.decoder, decoder_given, audio), (paths.latent, latent_given, latent)):
        for name, value in given.items():
            other = given | {name: value + 1 if name == "speaker" else _changed(value)}
            assert not np.allclose(run_graph(path, other), before, atol=1e-5), name


def _changed(value: NDArray[Any]) -> NDArray[Any]:
    """Twice the whole numbers or a pitch, which are constant; the others backwards."""
    steady = value.dtype == np.int64 or np.ptp(value) == 0
    return value * 2 if steady else value[:, ::-1].copy()


def test_a_graph_that_differs_is_not_stored(tmp_path: Path) -> None:
    """A runtime that computes otherwise by 2e-4 is found out, and nothing is left behind."""
    store = VoiceStore(tmp_path / "store")

    def off(path: Path, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        return run_graph(path, given) + np.float32(2 * TOLERANCE)

    with pytest.raises(VoiceRefused) as caught:
        imported(voice_file(tmp_path), store, run=off)
    assert caught.value.code == "graph_differs"
    assert [path.name for path in store.root.iterdir()] == [".lock"]


def test_a_difference_counts_against_what_differs() -> None:
    """Latents and features reach 70, where float32 rounds by more than 1e-4; sound and salience stay within 1."""

    def off(_path: Path, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        return given["wanted"] + np.float32(1.5 * TOLERANCE)

    large, small = torch.tensor([[66.9, -0.2]]), torch.tensor([[0.9, -0.2]])
    assert compare(large, Path("latent.onnx"), {"wanted": large}, off) == pytest.approx(2.24e-6, rel=0.1)
    with pytest.raises(VoiceRefused, match=r"differs from the network by 0\.00015"):
        compare(small, Path("decoder.onnx"), {"wanted": small}, off)


def test_an_index_and_a_pitch_are_stored_with_the_voice(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """The index is pinned with the rest, and looks up what was recorded."""
    store, record = stored
    assert (record.index_vectors, record.pitch_hz) == (200, 210.0)
    store.graphs("grace")
    index, made = store.index("grace"), recordings(768)
    assert index is not None
    assert index.retrieve(made.vectors[:3]) == pytest.approx(made.vectors[:3], abs=1e-6)


def test_a_refused_index_leaves_nothing_behind(tmp_path: Path) -> None:
    """One of a v1 voice; the checkpoint itself was good."""
    store, path = VoiceStore(tmp_path / "store"), tmp_path / "added.index"
    path.write_bytes(index_bytes(recordings(256)))
    with pytest.raises(VoiceRefused) as caught:
        imported(voice_file(tmp_path), store, extras=VoiceExtras(index=path))
    assert caught.value.code == "index_width"
    assert [found.name for found in store.root.iterdir()] == [".lock"]


def test_a_broken_file_leaves_nothing_behind(tmp_path: Path) -> None:
    """Refused while the folder was being filled."""
    store, path = VoiceStore(tmp_path / "store"), tmp_path / "voice.pth"
    path.write_bytes(b"PK\x03\x04 not a voice")
    with pytest.raises(VoiceRefused) as caught:
        imported(path, store)
    assert caught.value.code == "checkpoint_format"
    assert [found.name for found in store.root.iterdir()] == [".lock"]


def test_a_second_voice_of_the_same_name_is_refused_before_it_is_read(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """The file need not even exist."""
    with pytest.raises(VoiceRefused) as caught:
        imported(Path("nowhere.pth"), stored[0])
    assert caught.value.code == "voice_exists"
    assert (stored[0].root / "grace" / "latent.onnx").is_file()


def in_torch(network: torch.nn.Module) -> StandIn:
    """A `Graph` that is no graph."""

    def answer(feeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        with torch.inference_mode():
            made = network(**{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in feeds.items()})
        return np.asarray(made)

    return StandIn(answer)


def from_the_file(data_dir: Path, sound: Samples) -> Samples:
    """What the generator in the file says, in PyTorch, hop after hop: no graph of it is looked at."""
    voices, network = ImportedVoices(data_dir), read_voice(data_dir / "voice.pth").network
    engine = RvcVoiceEngine(voices.store, voices.networks, hops_ms=(HOP_MS,))
    latent, decoder = in_torch(LatentGraph(network).eval()), in_torch(DecoderGraph(network).eval())
    rung = Rung(HOP_MS)
    voice = dataclasses.replace(engine._load("grace"), latent={rung: latent}, decoder={rung: decoder})
    stream = RvcVoiceStream(voice, sample_rate_hz=CHUNK_RATE_HZ, settings=VoiceSettings(preset="grace"))
    spoken = [stream.convert(hop) for hop in sound.reshape(-1, HOP_MS * CHUNK_RATE_HZ // 1000)]
    late = round((DELAY_MS - stream.delay_ms) * CHUNK_RATE_HZ / 1000)
    return np.concatenate([np.zeros(late, np.float32), *spoken])[: len(sound)]


async def until_loaded(lane: Lane) -> None:
    """Ask for the voice until it would speak at once, as somebody who wore it before."""
    asked = OpenVoice(call_id="before", sample_rate_hz=CHUNK_RATE_HZ, hop_ms=HOP_MS, settings=GRACE)
    async with asyncio.timeout(240):
        while (opened := await lane.run(asked, settling=True)).waits:
            assert opened.unable is None
            await asyncio.sleep(0.1)
    await lane.run(CloseVoice(call_id="before"))


async def test_a_voice_is_worn_from_the_file_to_the_sound_of_a_call(stored: tuple[VoiceStore, VoiceRecord]) -> None:
    """Typed in, offered, loaded in a worker, worn over the chunk path: what is heard the generator in the file says."""
    data_dir = stored[0].root.parent
    imported_lane.prepare_narrow_content(ImportedVoices(data_dir))
    said = speech.speech(0.6, CHUNK_RATE_HZ)
    heard: list[Samples] = []
    async with registry(data_dir, voice=imported_lane.patient_lane(data_dir), hop_ms=str(HOP_MS)) as (calls, _):
        await until_loaded(calls._voice_lanes[0])
        session = await calls.admit(subject="x", grants=Grants())
        await session.set_voice(GRACE)
        line = session.open_chunks()
        for n in range(CHUNKS):
            line.push_sound(said[n * CHUNK_SAMPLES :][:CHUNK_SAMPLES], capture_us=n * 192_000)
            async with asyncio.timeout(120):
                while len(heard) < n:  # a chunk ends within a hop: the last one waits for the next
                    out = await line.next()
                    heard += [out.samples] if out.samples is not None else []
        assert session.state().voice_engine == "rvc"
    spoken = np.concatenate(heard)
    wanted = from_the_file(data_dir, said[: 4 * HOP_MS * CHUNK_RATE_HZ // 1000])[: len(spoken)]
    assert wanted.std() > 0.01
    np.testing.assert_allclose(spoken, wanted, atol=0.01 * float(wanted.std()))
