"""From a voice file to a stored voice: read, export, compare every rung with torch, store with the consent record.

Called by `mirage_rtc.voice_commands`, which also hands down how a graph is run: the same runtime as in calls.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.convert.faiss_index import store_index
from models.convert.half_precision import store_half
from models.convert.onnx_export import SharedWeights, export
from models.convert.rvc_checkpoint import RvcVoice, read_voice
from models.convert.streaming_graph import DecoderGraph, LatentGraph, decoder_probe, latent_probe
from models.voice_graph import AUDIO, DECODER_OPEN, FRAME_MS, LADDER, LATENT, LATENT_OPEN, STEP_FRAMES, Rung
from models.voice_precision import HalfGraph
from models.voice_refusal import VoiceRefused
from models.voice_store import VoiceConsent, VoiceGraphs, VoiceRecord, VoiceStore, graphs_in, voice_id, write_record

TOLERANCE = 1e-4
"""How far a graph's output may be from torch's: of its largest value, or of 1 where that is smaller, as in sound."""

GraphRunner = Callable[[Path, Mapping[str, NDArray[np.generic]]], NDArray[np.float32]]
"""Runs the graph of a file once on named inputs and gives its first output."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceExtras:
    """What comes with a voice beside its checkpoint, if anything."""

    index: Path | None = None
    """faiss' file, with the frames of the voice's recordings."""
    pitch_hz: float | None = None
    """The voice's usual pitch."""


_NOTHING = VoiceExtras()


def import_voice(
    path: Path,
    *,
    name: str,
    consent: VoiceConsent,
    store: VoiceStore,
    run: GraphRunner,
    progress: Progress,
    extras: VoiceExtras = _NOTHING,
) -> VoiceRecord:
    """Store the voice in `path` under the id of its name. Raises `VoiceRefused`, and then nothing is left behind."""
    key = voice_id(name)
    with store.adding(key) as folder:
        progress(f"reading {path.name}")
        voice = read_voice(path)
        vectors = _store_index(extras.index, voice, folder, progress)
        progress("exporting")
        paths, shared = graphs_in(folder), SharedWeights(folder)
        _export(voice, paths, shared)
        difference = {}
        for rung in LADDER:
            progress(f"checking hop {rung.hop_ms} ms")
            difference[rung.hop_ms] = _difference(voice, rung, paths, run)
        progress("trying half precision")
        half = _store_halves(voice, folder, shared, run)
        record = VoiceRecord(
            name=name,
            version=voice.version,
            sample_rate_hz=voice.shape.sample_rate_hz,
            feature_width=voice.shape.feature_width,
            speakers=voice.speakers,
            source_sha256=voice.sha256,
            difference=difference,
            consent=consent,
            index_vectors=vectors,
            pitch_hz=extras.pitch_hz,
            half={"latent": half[0], "decoder": half[1]},
        )
        write_record(folder, record)
    return record


def compare(wanted: torch.Tensor, path: Path, given: Mapping[str, torch.Tensor], run: GraphRunner) -> float:
    """The largest difference of a graph's output to torch's, see `TOLERANCE`. Raises `VoiceRefused` "graph_differs"."""
    found = run(path, {name: tensor.numpy() for name, tensor in given.items()})
    same = found.shape == tuple(wanted.shape) and bool(np.isfinite(found).all())
    # Latents and features reach 70: there rounding alone, in another order of sums, is more than 1e-4.
    scale = max(1.0, float(wanted.abs().max()))
    difference = float(np.abs(found - wanted.numpy()).max()) / scale if same else float("inf")
    if difference > TOLERANCE:
        sentence = f"The exported graph {path.name} differs from the network by {difference:.2g}: it is not stored."
        raise VoiceRefused("graph_differs", f"{sentence} Update onnxruntime, or report this.")
    return difference


def _store_index(path: Path | None, voice: RvcVoice, folder: Path, progress: Progress) -> int:
    """Before the graphs, which take longer: an index that is refused is refused at once."""
    if path is None:
        return 0
    progress(f"reading {path.name}")
    return store_index(path, folder, width=voice.shape.feature_width)


def _export(voice: RvcVoice, paths: VoiceGraphs, shared: SharedWeights) -> None:
    """Both graphs, traced at the largest rung: there no size is that of another axis by chance, or 1."""
    rung = LADDER[-1]
    latent, decoder = LatentGraph(voice.network).eval(), DecoderGraph(voice.network).eval()
    export(latent, latent_probe(voice.shape, rung), LATENT, paths.latent, shared, LATENT_OPEN)
    export(decoder, decoder_probe(voice.shape, rung), AUDIO, paths.decoder, shared, DECODER_OPEN)


def _store_halves(
    voice: RvcVoice, folder: Path, shared: SharedWeights, run: GraphRunner
) -> tuple[HalfGraph, HalfGraph]:
    """Half-precision variants of the graphs that bear it; the decoder is tried on what the latent graph gives."""
    full, half, rung = graphs_in(folder), graphs_in(folder, half=True), LADDER[-1]
    filling = Rung(FRAME_MS * STEP_FRAMES * math.ceil(rung.decoded / STEP_FRAMES))
    given = {name: tensor.numpy() for name, tensor in latent_probe(voice.shape, filling).items()}
    decoded = {name: tensor.numpy() for name, tensor in decoder_probe(voice.shape, rung).items()}
    decoded["latent"] = run(full.latent, given)[:, :, : rung.decoded]
    return (
        store_half(full.latent, half.latent, shared, given, run),
        store_half(full.decoder, half.decoder, shared, decoded, run),
    )


def _difference(voice: RvcVoice, rung: Rung, paths: VoiceGraphs, run: GraphRunner) -> float:
    """The larger one of the two graphs at this rung."""
    latent, decoder = LatentGraph(voice.network), DecoderGraph(voice.network)
    return max(
        _compare(latent, latent_probe(voice.shape, rung), paths.latent, run),
        _compare(decoder, decoder_probe(voice.shape, rung), paths.decoder, run),
    )


def _compare(graph: torch.nn.Module, given: dict[str, torch.Tensor], path: Path, run: GraphRunner) -> float:
    with torch.inference_mode():
        wanted = graph(**given)
    return compare(wanted, path, given, run)
