"""Imported voices on the disk: who may be sounded like, on whose word, and the graphs that do it.

`mirage-rtc voices import` fills it, the engine takes verified graphs from it. A voice without a consent record does not
exist here: the record is part of the folder and pinned like the graphs.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from models.pinned_folders import PinnedFolders, read_record
from models.voice_index import VoiceIndex, open_index
from models.voice_precision import HalfGraph
from models.voice_refusal import VoiceRefused

RECORD_NAME = "voice.json"
NAME_MAX = 60
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class VoiceConsent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the operator puts on record: whose voice it is, who answers for its use, what for, under which licence."""

    attested_by: Line
    subject_name: Line
    relation: Literal["self", "permission"]
    purpose: Line
    licence: Line
    recorded_at: Line


class VoiceRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One voice. `difference` is the largest of a graph's output to the imported network's, by hop in ms.

    `layout` is that of the graphs, `models.voice_graph`; a voice of another layout has to be imported again.
    """

    name: Line
    version: Literal["v1", "v2"]
    sample_rate_hz: Annotated[int, msgspec.Meta(ge=32000, le=48000, multiple_of=8000)]
    feature_width: Annotated[int, msgspec.Meta(ge=256, le=768, multiple_of=256)]
    speakers: Annotated[int, msgspec.Meta(ge=1)]
    source_sha256: Line
    difference: dict[int, float]
    consent: VoiceConsent
    layout: Literal[4] = 4
    index_vectors: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many of its recordings' frames can be looked up; 0 without an index."""
    pitch_hz: Annotated[float, msgspec.Meta(ge=50, le=1100)] | None = None
    """Its usual pitch, where the operator said it."""
    half: dict[Literal["latent", "decoder"], HalfGraph] = {}
    """How each graph bore half precision; one that was not tried is not here."""

    @property
    def frame_samples(self) -> int:
        """Samples of one 10 ms frame of this voice."""
        return self.sample_rate_hz // 100


@dataclass(frozen=True, slots=True)
class VoiceGraphs:
    """The two files of a voice's network."""

    latent: Path
    decoder: Path


class VoiceStore:
    """The voices under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = PinnedFolders(root)

    def voices(self) -> dict[str, VoiceRecord | VoiceRefused]:
        """By id: the record, or why it cannot be read. The graphs are not looked at."""
        return {voice_id: self._record_or_why(voice_id) for voice_id in self._folders.names()}

    def record(self, voice_id: str) -> VoiceRecord:
        """Raises `VoiceRefused` "voice_unknown" or "voice_damaged"."""
        path = self._folders.folder(voice_id) / RECORD_NAME
        try:
            return msgspec.json.decode(read_record(path), type=VoiceRecord)
        except (OSError, msgspec.DecodeError):
            sentence = f"{path} cannot be read as a voice: remove the voice and import it again."
            raise VoiceRefused("voice_damaged", sentence) from None

    def graphs(self, voice_id: str, *, half: bool = False) -> VoiceGraphs:
        """Both graphs, all bytes verified; with `half`, those in half precision that are stored so.

        Raises `VoiceRefused` "voice_unknown" or "voice_damaged".
        """
        folder = self._folders.verified(voice_id)
        graphs, halves = graphs_in(folder), graphs_in(folder, half=True)
        if half:
            stored = {name for name, graph in self.record(voice_id).half.items() if graph.stored}
            latent = halves.latent if "latent" in stored else graphs.latent
            graphs = VoiceGraphs(latent, halves.decoder if "decoder" in stored else graphs.decoder)
        if not (graphs.latent.is_file() and graphs.decoder.is_file()):
            raise VoiceRefused("voice_damaged", f"{folder} lacks a graph: remove the voice and import it again.")
        return graphs

    def index(self, voice_id: str) -> VoiceIndex | None:
        """Its retrieval index, or None. Of a voice whose `graphs` were verified. Raises `VoiceRefused` as they do."""
        return open_index(self._folders.folder(voice_id), width=self.record(voice_id).feature_width)

    @contextmanager
    def adding(self, voice_id: str) -> Iterator[Path]:
        """An empty folder for the graphs and, by `write_record`, the record. See `PinnedFolders.adding`."""
        with self._folders.adding(voice_id) as folder:
            yield folder
            if not (folder / RECORD_NAME).is_file():
                raise VoiceRefused("consent_missing", "A voice is stored only with its consent record.")

    def remove(self, voice_id: str) -> None:
        """Graphs and record. Raises `VoiceRefused` "voice_unknown"."""
        self._folders.remove(voice_id)

    def _record_or_why(self, voice_id: str) -> VoiceRecord | VoiceRefused:
        try:
            return self.record(voice_id)
        except VoiceRefused as refused:
            return refused


def write_record(folder: Path, record: VoiceRecord) -> None:
    """Into a folder that is being added."""
    (folder / RECORD_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(record)))


def graphs_in(folder: Path, *, half: bool = False) -> VoiceGraphs:
    """Where the graphs lie in a voice's folder."""
    ending = "_half.onnx" if half else ".onnx"
    return VoiceGraphs(folder / f"latent{ending}", folder / f"decoder{ending}")


def voice_id(name: str) -> str:
    """The id that a voice gets by its name. Raises `VoiceRefused` "voice_name" for one that makes none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not slug or len(name) > NAME_MAX or not name.isprintable():
        sentence = f"A voice's name has up to {NAME_MAX} characters, some of them a-z or 0-9: choose another."
        raise VoiceRefused("voice_name", sentence)
    return slug
