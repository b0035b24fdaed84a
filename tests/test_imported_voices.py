"""Imported voices as a call names them, and which of a store are on offer."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.engines import VoiceSettings
from models.imported_voices import (
    DELAY_MS,
    ImportedVoices,
    is_imported,
    least_delay_ms,
    needed_networks,
    one_stream,
    plain,
    receipt_id,
)
from models.rvc_voice_engine import RvcVoiceStream
from models.voice_networks import CONTENT_V2, NETWORKS, PITCH, VoiceNetwork
from models.voice_refusal import VoiceRefused
from tests import voice_stand_ins
from tests.test_voice_store import RECORD, stored

DISGUISE, ROBOT = VoiceSettings(), VoiceSettings(preset="robot")
GRACE, ADA = VoiceSettings(preset="rvc:grace"), VoiceSettings(preset="rvc:ada")


def voices(data_dir: Path, networks: tuple[VoiceNetwork, ...] = NETWORKS) -> ImportedVoices:
    """The voice "grace" with these networks, as far as names go."""
    stored(data_dir / "voices")
    found = ImportedVoices(data_dir)
    for network in networks:
        with found.networks.folders.adding(network.name) as folder:
            (folder / "graph.onnx").write_bytes(b"graph")
    return found


def test_a_voice_is_listed_with_whose_it_is(tmp_path: Path) -> None:
    """By name; and by a receipt that names nobody."""
    [voice] = voices(tmp_path).offered().values()
    assert (voice.name, voice.title) == ("rvc:grace", "Grace")
    assert "imported" in voice.description
    assert "Grace" in voice.description
    assert voice.receipt_id == receipt_id(RECORD) == "cv_0000000000000000"


def test_a_voice_whose_record_cannot_be_read_is_not_listed(tmp_path: Path) -> None:
    """Without the word of who answers for it, it does not exist."""
    found = voices(tmp_path)
    (tmp_path / "voices" / "grace" / "voice.json").write_text("{}")
    assert found.offered() == {}
    with pytest.raises(VoiceRefused):
        found.edition("grace")


def test_a_voice_is_listed_once_its_networks_are_prepared(tmp_path: Path) -> None:
    """That of its own version; without RMVPE another tracker finds the pitch."""
    assert needed_networks(RECORD) == {CONTENT_V2.name}
    assert set(voices(tmp_path / "other", (CONTENT_V2,)).offered()) == {"rvc:grace"}
    assert voices(tmp_path, (PITCH,)).offered() == {}


def test_a_voice_that_was_removed_or_made_anew_is_another(tmp_path: Path) -> None:
    """What was loaded of the former one is not used any more."""
    found = voices(tmp_path)
    before = found.edition("grace")
    found.store.remove("grace")
    assert found.offered() == {}
    with pytest.raises(VoiceRefused):
        found.edition("grace")
    stored(tmp_path / "voices")
    assert found.edition("grace") == before


def test_names_and_what_one_stream_can_speak() -> None:
    """Embedded voices glide into each other; an imported one is a stream of its own, whatever its controls."""
    assert [is_imported(each) for each in (DISGUISE, GRACE)] == [False, True]
    assert plain(GRACE).preset == "grace"
    assert plain(ROBOT) == ROBOT
    assert one_stream(DISGUISE, ROBOT)
    assert one_stream(GRACE, replace(GRACE, pitch_semitones=3.0))
    assert not one_stream(GRACE, ADA)
    assert not one_stream(GRACE, DISGUISE)
    assert not one_stream(DISGUISE, GRACE)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("voice_hz", [32_000, 40_000, 48_000])
def test_no_imported_voice_is_later_than_the_delay_of_all(rate_hz: int, voice_hz: int) -> None:
    """So that a call's delay grows once. Who changes the engine's delay changes DELAY_MS with it."""
    stream = RvcVoiceStream(
        voice_stand_ins.voice(voice_hz), sample_rate_hz=rate_hz, settings=VoiceSettings(preset="grace")
    )
    assert DELAY_MS - 2 < stream.delay_ms <= DELAY_MS
    assert least_delay_ms(GRACE, stream.delay_ms) == DELAY_MS


def test_the_delay_of_an_embedded_voice_is_its_own() -> None:
    """And a slower imported one than all known keeps its own, too."""
    assert least_delay_ms(DISGUISE, 32.3) == 32.3
    assert least_delay_ms(GRACE, 90.2) == 91.0
