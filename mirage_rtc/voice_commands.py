"""`mirage-rtc voices import | prepare | list | remove | test`: voice files become voices, on the operator's word.

Called by `mirage_rtc.__main__`. Importing needs torch (the extra `convert`), which is looked for only then; listing,
removing and testing need it no more than a call does.
"""

import importlib.util
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mirage_rtc import audit, consent
from mirage_rtc.audit import AuditLog
from mirage_rtc.consent import ConsentLedger
from mirage_rtc.errors import BadInput, MirageError, NotFound, Unavailable
from mirage_rtc.voice_options import VoiceOptions
from models import ready_network
from models.imported_voices import NETWORKS_FOLDER, VOICES_FOLDER, receipt_id
from models.neural_voice_catalog import CONTENTVEC, RMVPE, RMVPE_GRAPH
from models.runtime import Graph, NetworkError, OnnxGraph
from models.store import Store
from models.voice_graph import LADDER, Rung
from models.voice_networks import CONTENT_V1, CONTENT_V2, NETWORKS, PITCH, VoiceNetworkStore
from models.voice_pitch import pitch_in_words
from models.voice_probe import decoder_probe, latent_probe
from models.voice_refusal import VoiceRefused
from models.voice_store import VoiceConsent, VoiceRecord, VoiceStore, voice_id

PITCH_HZ = (50, 1100)

MODELS_FOLDER = "models"
NO_DISGUISE = "Whoever wears it is heard as whose it is: for that person it hides nothing, without passthrough too."


def run(options: VoiceOptions, data_dir: Path, console: Console) -> int:
    """Carry out one command; returns the exit code. Raises `MirageError` with what to do instead."""
    store = VoiceStore(data_dir / VOICES_FOLDER)
    networks = VoiceNetworkStore(data_dir / NETWORKS_FOLDER)
    tasks = {
        "import": lambda: import_voice(options, store, data_dir, console),
        "prepare": lambda: prepare_networks(options, networks, data_dir, console),
        "list": lambda: list_voices(store, networks, console),
        "remove": lambda: remove_voice(options, store, data_dir, console),
        "test": lambda: check_voice(options, store, console),
    }
    try:
        return tasks[options.task]()
    except VoiceRefused as refused:
        raise BadInput(refused.code, refused.sentence) from None
    except NetworkError as error:
        raise Unavailable("runtime_unusable", error.sentence) from None


def import_voice(options: VoiceOptions, store: VoiceStore, data_dir: Path, console: Console) -> int:
    """Read, export, compare with torch, store with the consent record, which goes into the ledger too."""
    agreed = _consent(options)
    _check_pitch(options.pitch_hz)
    _require_torch()
    # Only here: everything else of the product runs without torch.
    from models.convert import voice_import

    assert options.file is not None
    with console.status(f"Importing {options.file.name}") as status:
        record = voice_import.import_voice(
            options.file,
            name=options.name,
            consent=agreed,
            store=store,
            run=run_graph,
            progress=lambda what: status.update(f"Importing: {what}"),
            extras=voice_import.VoiceExtras(index=options.index, pitch_hz=options.pitch_hz),
        )
    try:
        _put_on_record("granted", voice_id(record.name), record, data_dir)
    except MirageError:
        store.remove(voice_id(record.name))  # without a receipt nobody could show what it was used on
        raise
    worst = max(record.difference.values())
    console.print(f"[green]stored[/]    {voice_id(record.name)}: {_in_words(record)}", highlight=False)
    console.print(f"At no hop do its graphs differ from torch by more than {worst:.1e}.", highlight=False)
    console.print(NO_DISGUISE, highlight=False)
    return 0


def prepare_networks(options: VoiceOptions, networks: VoiceNetworkStore, data_dir: Path, console: Console) -> int:
    """Make the graphs of ContentVec or RMVPE out of the published file, or of those that `models fetch` got."""
    files = (options.file,) if options.file else _fetched(networks, data_dir / MODELS_FOLDER)
    for file in files:
        with console.status(f"Preparing {file.name}") as status:
            names = _prepared(file, networks, lambda what: status.update(f"Preparing: {what}"))
        console.print(f"[green]ready[/]     {', '.join(names)}", highlight=False)
    return 0


def _prepared(file: Path, networks: VoiceNetworkStore, progress: Callable[[str], None]) -> tuple[str, ...]:
    if file.suffix == ".onnx":
        return ready_network.store_ready(file, store=networks, progress=progress)
    _require_torch()
    # Only here: everything else of the product runs without torch.
    from models.convert import network_import

    return network_import.import_network(file, store=networks, run=run_graph, progress=progress)


def _fetched(networks: VoiceNetworkStore, folder: Path) -> tuple[Path, ...]:
    """The verified files of what is not prepared yet. Raises `NotFound` when there is nothing to do it with."""
    store, there = Store(folder, offline=True), networks.ready()
    # PyTorch makes the better one of RMVPE: several steps of sound in one run, and a variant in half precision.
    pitch = (RMVPE, RMVPE_GRAPH) if _has_torch() else (RMVPE_GRAPH,)
    wanted = [] if PITCH.name in there else [next((spec for spec in pitch if store.state(spec) == "ready"), pitch[0])]
    wanted += [] if {CONTENT_V1.name, CONTENT_V2.name} <= set(there) else [CONTENTVEC]
    files = tuple(store.path(spec) for spec in wanted if store.state(spec) == "ready")
    if wanted and not files:
        names = " ".join(spec.name for spec in wanted)
        raise NotFound("model_missing", f"Nothing to prepare in {folder}: run `mirage-rtc models fetch {names}` first.")
    return files


def list_voices(store: VoiceStore, networks: VoiceNetworkStore, console: Console) -> int:
    """Print every voice with whose it is and on whose word it is used, and which networks are still to be prepared."""
    table = Table("Voice", "What it is", "Whose, on whose word", "What for", "Licence", title_justify="left")
    table.title = f"Voices in {store.root}"
    for key, record in store.voices().items():
        if isinstance(record, VoiceRefused):
            table.add_row(key, f"[red]{record.code}[/]", "", "", "")
            continue
        given = record.consent
        whose = f"{given.subject_name}, {given.attested_by}"
        table.add_row(*map(_plain, (key, _in_words(record), whose, given.purpose, given.licence)))
    console.print(table)
    missing = [network.name for network in NETWORKS if network.name not in networks.ready()]
    if missing:
        console.print(
            f"Not prepared yet: {', '.join(missing)}. `mirage-rtc voices prepare` makes them of fetched files."
        )
    console.print(pitch_in_words(networks), highlight=False)
    return 0


def remove_voice(options: VoiceOptions, store: VoiceStore, data_dir: Path, console: Console) -> int:
    """Put the removal on record, then delete it all. A call that wears it gives it up when it next opens it."""
    record = store.voices().get(options.name)
    if record is not None:
        _put_on_record("revoked", options.name, record, data_dir)
    store.remove(options.name)
    console.print(f"[green]removed[/]   {_plain(options.name)}", highlight=False)
    return 0


def _put_on_record(
    kind: Literal["granted", "revoked"], name: str, record: VoiceRecord | VoiceRefused, data_dir: Path
) -> None:
    """In the consent ledger, with names, and in the audit log, without. Raises `Unavailable` "receipt_unwritable"."""
    readable = record if isinstance(record, VoiceRecord) else None
    receipt = "cv_unreadable" if readable is None else receipt_id(readable)
    ledger = ConsentLedger(data_dir / consent.FILE_NAME, b"")  # nothing of a voice is hashed with the key
    ledger.note_voice(kind, receipt, name, None if readable is None else readable.consent)
    with AuditLog(data_dir / audit.FILE_NAME) as log:
        log.record(f"voice_{kind}", receipt_id=receipt)


def check_voice(options: VoiceOptions, store: VoiceStore, console: Console) -> int:
    """Verify every file and run every graph on made-up sound; exit code 1 when one gives no sound."""
    record, paths, sound = store.record(options.name), store.graphs(options.name), True
    latent, decoder = OnnxGraph(paths.latent), OnnxGraph(paths.decoder)
    for rung in LADDER:
        peak, run_ms = _try_out(latent, decoder, record, rung)
        sound = sound and 0 < peak <= 1
        word = "[green]sounds[/]  " if 0 < peak <= 1 else "[red]silent[/]  "
        ratio = run_ms / rung.hop_ms
        figures = f"hop {rung.hop_ms:3} ms: {run_ms:6.1f} ms on one CPU thread, ratio {ratio:.2f}"
        console.print(word + figures, highlight=False)
    return 0 if sound else 1


def run_graph(path: Path, given: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    """One run on the CPU of a graph that is not kept. Raises `NetworkError`."""
    [audio] = OnnxGraph(path).run(given)
    return np.asarray(audio, np.float32)


def _try_out(latent: Graph, decoder: Graph, record: VoiceRecord, rung: Rung) -> tuple[float, float]:
    """Largest sample and milliseconds of the second run, or a peak of 0 when a number is not finite."""
    given, decoded = latent_probe(rung, record.feature_width), decoder_probe(rung, record.frame_samples)
    for _ in range(2):
        begun_s = time.perf_counter()
        [made] = latent.run(given)
        decoded["latent"][:, :, -made.shape[2] :] = made
        [audio] = decoder.run(decoded)
        run_ms = 1000 * (time.perf_counter() - begun_s)
    return float(np.abs(audio).max()) if np.isfinite(audio).all() else 0.0, run_ms


def _consent(options: VoiceOptions) -> VoiceConsent:
    lines = (options.attested_by, options.subject, options.purpose, options.licence)
    if not options.i_attest:
        sentence = (
            "Add --i-attest: with it you put on record that this voice is yours, or that whose it is agreed to it. "
            "Without that it is not imported."
        )
        raise BadInput("consent_missing", sentence)
    if not all(0 < len(line.strip()) <= 200 for line in lines):
        sentence = "Say who attests, whose voice it is, what for and its licence, each in 1 to 200 characters."
        raise BadInput("consent_missing", sentence)
    return VoiceConsent(
        attested_by=options.attested_by.strip(),
        subject_name=options.subject.strip(),
        relation=options.relation,
        purpose=options.purpose.strip(),
        licence=options.licence.strip(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check_pitch(pitch_hz: float | None) -> None:
    if pitch_hz is not None and not PITCH_HZ[0] <= pitch_hz <= PITCH_HZ[1]:
        sentence = f"A voice's usual pitch lies between {PITCH_HZ[0]} and {PITCH_HZ[1]} Hz: correct --pitch-hz."
        raise BadInput("pitch_unlikely", sentence)


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None and importlib.util.find_spec("onnx") is not None


def _require_torch() -> None:
    if not _has_torch():
        raise Unavailable(
            "torch_missing",
            "Importing a voice needs PyTorch, calls do not: run `pip install '.[convert,neural]'` in the clone.",
        )


def _in_words(record: VoiceRecord) -> str:
    several = f", {record.speakers} speakers, the first is used" if record.speakers > 1 else ""
    pitch = "" if record.pitch_hz is None else f", speaks at {record.pitch_hz:.0f} Hz"
    index = f", index of {record.index_vectors} frames" if record.index_vectors else ""
    return f"RVC {record.version}, {record.sample_rate_hz // 1000} kHz{several}{pitch}{index}"


def _plain(text: str) -> str:
    """What was typed, so that rich reads no markup in it and a terminal no control character."""
    return "".join(letter for letter in text if letter.isprintable()).replace("[", "\\[")
