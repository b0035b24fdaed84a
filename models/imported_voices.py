"""Imported voices as a call names them: `rvc:<id>`, listed with whose they are, on the word of a record that is read.

Read by the session (what may be chosen), by the wire (what is listed) and by the voice lane's worker, each for itself:
the store on the disk is the one truth, so that a voice that was removed is gone for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from models.engines import VoiceSettings
from models.voice_networks import CONTENT_V1, CONTENT_V2, VoiceNetworkStore
from models.voice_store import VoiceRecord, VoiceStore

PREFIX = "rvc:"
VOICES_FOLDER = "voices"
NETWORKS_FOLDER = "voice-networks"
DELAY_MS = 58.0
"""The content delay of a call that has used an imported voice: that of the slowest of them, 57.25, so that none of the
next changes it; a stream that takes longer is given its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedVoice:
    """One voice on offer. `receipt_id` stands for it where nobody's name may: in the audit log."""

    name: str
    title: str
    description: str
    receipt_id: str


class ImportedVoices:
    """What is offered of the voices under a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.store = VoiceStore(data_dir / VOICES_FOLDER)
        self.networks = VoiceNetworkStore(data_dir / NETWORKS_FOLDER)

    def offered(self) -> dict[str, ImportedVoice]:
        """By name, such as "rvc:grace": those whose record can be read and whose networks are prepared."""
        return {voice.name: voice for voice in self._offered()}

    def edition(self, voice_id: str) -> str:
        """Which of the voices that bore this id is stored now. Raises `VoiceRefused` when none is, or it is damaged."""
        record = self.store.record(voice_id)
        return f"{record.source_sha256} {record.consent.recorded_at}"

    def _offered(self) -> Iterator[ImportedVoice]:
        prepared = self.networks.ready()
        for voice_id, record in self.store.voices().items():
            if isinstance(record, VoiceRecord) and needed_networks(record) <= set(prepared):
                yield ImportedVoice(
                    name=PREFIX + voice_id,
                    title=record.name,
                    description=f"An imported voice, that of {record.consent.subject_name}. It speaks with their tone.",
                    receipt_id=receipt_id(record),
                )


def is_imported(settings: VoiceSettings) -> bool:
    """Whether these settings name an imported voice."""
    return settings.preset.startswith(PREFIX)


def plain(settings: VoiceSettings) -> VoiceSettings:
    """The same as the engine of the voice knows it: an imported voice by its id."""
    return replace(settings, preset=settings.preset.removeprefix(PREFIX))


def one_stream(one: VoiceSettings, other: VoiceSettings) -> bool:
    """Whether a stream of one can go on as the other: the embedded engine glides, an imported voice stays itself."""
    if is_imported(one) or is_imported(other):
        return one.preset == other.preset
    return True


def receipt_id(record: VoiceRecord) -> str:
    """What stands for a voice in the consent ledger and the audit log: by its checkpoint, nobody's name in it."""
    return f"cv_{record.source_sha256[:16]}"


def needed_networks(record: VoiceRecord) -> set[str]:
    """Names of what must be prepared before this voice can speak."""
    content = CONTENT_V2 if record.feature_width == CONTENT_V2.output_shape[-1] else CONTENT_V1
    return {content.name}  # without RMVPE another tracker finds the pitch, see models.voice_pitch


def least_delay_ms(settings: VoiceSettings, stream_ms: float) -> float:
    """The content delay that a call has at least from the first hop of these settings on; whole ms if imported."""
    return max(DELAY_MS, float(ceil(stream_ms))) if is_imported(settings) else stream_ms
