"""Imported voices on the disk: record and graphs, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from models.voice_precision import HalfGraph
from models.voice_refusal import VoiceRefused
from models.voice_store import (
    RECORD_NAME,
    VoiceConsent,
    VoiceGraphs,
    VoiceRecord,
    VoiceStore,
    graphs_in,
    voice_id,
    write_record,
)

CONSENT = VoiceConsent(
    attested_by="Ada",
    subject_name="Grace",
    relation="permission",
    purpose="rehearsal",
    licence="CC-BY-4.0",
    recorded_at="2026-01-02T03:04:05+00:00",
)
RECORD = VoiceRecord(
    name="Grace",
    version="v2",
    sample_rate_hz=40000,
    feature_width=768,
    speakers=1,
    source_sha256="0" * 64,
    difference={40: 1e-6},
    consent=CONSENT,
)


def stored(root: Path) -> VoiceStore:
    """A voice whose graphs are only bytes."""
    store = VoiceStore(root)
    with store.adding("grace") as folder:
        graphs_in(folder).latent.write_bytes(b"graph")
        graphs_in(folder).decoder.write_bytes(b"graph")
        write_record(folder, RECORD)
    return store


def test_a_voice_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    """Record with consent, and two graphs."""
    store = stored(tmp_path)
    assert store.record("grace") == RECORD
    assert RECORD.frame_samples == 400
    assert store.voices() == {"grace": RECORD}
    assert store.graphs("grace") == graphs_in(tmp_path / "grace")


def test_half_precision_is_taken_where_it_passed(tmp_path: Path) -> None:
    """One graph of two; without being asked for, neither."""
    figures = {"latent": HalfGraph(cosine=0.5, stored=False), "decoder": HalfGraph(cosine=0.9999, stored=True)}
    store = VoiceStore(tmp_path)
    with store.adding("grace") as folder:
        for path in (graphs_in(folder).latent, graphs_in(folder).decoder, graphs_in(folder, half=True).decoder):
            path.write_bytes(b"graph")
        write_record(folder, msgspec.structs.replace(RECORD, half=figures))
    folder = tmp_path / "grace"
    assert store.graphs("grace") == graphs_in(folder)
    assert store.graphs("grace", half=True) == VoiceGraphs(folder / "latent.onnx", folder / "decoder_half.onnx")


def test_a_voice_without_a_consent_record_is_not_stored(tmp_path: Path) -> None:
    """Nothing is left of it."""
    store = VoiceStore(tmp_path)
    with pytest.raises(VoiceRefused) as caught, store.adding("grace") as folder:
        (folder / "latent.onnx").write_bytes(b"graph")
    assert caught.value.code == "consent_missing"
    assert store.voices() == {}


@pytest.mark.parametrize("spoiled", [RECORD_NAME, "latent.onnx", "decoder.onnx"])
def test_a_changed_voice_gives_no_graphs(tmp_path: Path, spoiled: str) -> None:
    """A consent that was edited counts as much as a graph that was exchanged."""
    store = stored(tmp_path)
    path = tmp_path / "grace" / spoiled
    path.write_bytes(path.read_bytes().replace(b"r", b"s"))
    with pytest.raises(VoiceRefused) as caught:
        store.graphs("grace")
    assert caught.value.code == "voice_damaged"


def test_a_list_says_what_cannot_be_read(tmp_path: Path) -> None:
    """The others are still listed."""
    store = stored(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / RECORD_NAME).write_text('{"name": 3}')
    listed = store.voices()
    assert listed["grace"] == RECORD
    assert isinstance(listed["broken"], VoiceRefused)


def test_a_voice_of_an_earlier_layout_is_to_be_imported_again(tmp_path: Path) -> None:
    """Its graphs have other inputs; the sentence says what to do."""
    store = stored(tmp_path)
    path = tmp_path / "grace" / RECORD_NAME
    path.write_text(path.read_text().replace('"layout": 4', '"layout": 3'))
    with pytest.raises(VoiceRefused, match="import it again"):
        store.record("grace")


def test_a_folder_that_lacks_a_graph_is_damaged(tmp_path: Path) -> None:
    """Even if its pins agree."""
    store = VoiceStore(tmp_path)
    with store.adding("grace") as folder:
        write_record(folder, RECORD)
    with pytest.raises(VoiceRefused, match="lacks a graph"):
        store.graphs("grace")


def test_a_removed_voice_is_gone(tmp_path: Path) -> None:
    """Its consent record with it."""
    store = stored(tmp_path)
    store.remove("grace")
    assert store.voices() == {}
    with pytest.raises(VoiceRefused):
        store.remove("grace")


@pytest.mark.parametrize(
    ("name", "slug"), [("Grace", "grace"), ("Ada  L. (40k)", "ada-l-40k"), ("Zoë", "zoe"), ("../x", "x")]
)
def test_a_name_makes_an_id(name: str, slug: str) -> None:
    """Lower-case letters, digits and hyphens."""
    assert voice_id(name) == slug


@pytest.mark.parametrize("name", ["", "  ", "...", "声", "a" * 61, "a\nb"])
def test_a_name_that_makes_none_is_refused(name: str) -> None:
    """With what a name may be."""
    with pytest.raises(VoiceRefused) as caught:
        voice_id(name)
    assert caught.value.code == "voice_name"
