"""A voice lane with the real engines' streams, WORLD's and the imported voices', around networks of a few lines.

The store is a real one on the disk, with graphs of no use; which voice does what is told by its name. Or the lane is
that of a server, for a voice that was imported whole: then ContentVec alone is a narrow one. Runs in workers by dotted
path.
"""

import time
from pathlib import Path

import numpy as np

from mirage_rtc.lane_worker import LaneSpec
from models import voice_rack
from models.engines import Samples, VoiceSettings, VoiceStream
from models.imported_voices import ImportedVoices
from models.rvc_voice_engine import LoadedVoice, RvcVoiceStream
from models.voice_engine_choice import open_voice_engine
from models.voice_networks import CONTENT_V2, GRAPH_NAME, NETWORKS, WINDOWS
from models.voice_rack import VoiceRack
from models.voice_store import graphs_in, write_record
from models.world_voice_engine import WorldVoiceEngine
from tests import voice_stand_ins
from tests.onnx_writer import GraphWriter
from tests.test_voice_store import RECORD

LABOURS_S = 0.034
"""Too long for 40 ms, and well within 60."""
SLOW_SHARE = 0.92


class LabouringStream:
    """An imported voice's stream that takes its time."""

    def __init__(self, inner: RvcVoiceStream, preset: str, sample_rate_hz: int) -> None:
        self.delay_ms = inner.delay_ms
        self.stage_ms: dict[str, float] = {}
        self._inner = inner
        self._preset = preset
        self._rate_hz = sample_rate_hz

    @property
    def fades(self) -> int:
        """The inner stream's."""
        return self._inner.fades

    def set_voice(self, settings: VoiceSettings) -> None:
        """As the inner one."""
        self._inner.set_voice(settings)

    def convert(self, hop: Samples) -> Samples:
        """One hop, in the time that the voice's name asks for."""
        began_s = time.perf_counter()
        made = self._inner.convert(hop)
        self.stage_ms = self._inner.stage_ms
        wanted_s = {"labours": LABOURS_S, "slow": SLOW_SHARE * len(hop) / self._rate_hz}.get(self._preset, 0.0)
        time.sleep(max(0.0, wanted_s - (time.perf_counter() - began_s)))
        return made


class StandInImports:
    """Every voice of the store, spoken by the same networks."""

    name = "rvc"

    def __init__(self) -> None:
        self._voices: dict[str, LoadedVoice] = {}

    def load(self, voice_id: str) -> None:
        """Make its networks."""
        self._voices[voice_id] = voice_stand_ins.voice()

    def is_loaded(self, voice_id: str) -> bool:
        """Until it is forgotten."""
        return voice_id in self._voices

    def prewarm(self, voice_id: str) -> None:
        """A few lines of numpy need no warmth."""

    def forget(self, voice_id: str) -> None:
        """Drop them."""
        self._voices.pop(voice_id, None)

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """A real stream around them."""
        inner = RvcVoiceStream(self._voices[settings.preset], sample_rate_hz=sample_rate_hz, settings=settings)
        return LabouringStream(inner, settings.preset, sample_rate_hz)


def rack(data_dir: str) -> VoiceRack:
    """What the voice lane's worker holds."""
    edition = ImportedVoices(Path(data_dir)).edition
    return VoiceRack(WorldVoiceEngine(), StandInImports(), edition=edition, why="imported voices on stand-ins")


def lane(data_dir: Path) -> LaneSpec:
    """The lane over the voices under `data_dir`."""
    return LaneSpec(
        engine="tests.imported_lane:rack",
        pipeline="mirage_rtc.voice_pipeline:VoicePipeline",
        arguments={"data_dir": str(data_dir)},
    )


def store(data_dir: Path, *names: str) -> ImportedVoices:
    """Voices of these names, with consent records, and the networks that they need, as far as names go."""
    voices = ImportedVoices(data_dir)
    for name in names:
        with voices.store.adding(name) as folder:
            for path in (graphs_in(folder).latent, graphs_in(folder).decoder):
                path.write_bytes(b"graph")
            write_record(folder, RECORD)
    for network in NETWORKS:
        with voices.networks.folders.adding(network.name) as folder:
            (folder / "graph.onnx").write_bytes(b"graph")
    return voices


def patient_rack(data_dir: str) -> VoiceRack:
    """A server's own, which tries a voice of full size on a CPU all the same."""
    voice_rack.HOPELESS = float("inf")
    return open_voice_engine("neural", data_dir)


def patient_lane(data_dir: Path) -> LaneSpec:
    """The lane of a server over what was imported into `data_dir`."""
    return LaneSpec(
        engine="tests.imported_lane:patient_rack",
        pipeline="mirage_rtc.voice_pipeline:VoicePipeline",
        arguments={"data_dir": str(data_dir)},
    )


def prepare_narrow_content(voices: ImportedVoices) -> None:
    """In ContentVec's place one layer of random numbers over each frame's 25 ms, in ONNX Runtime like the real one."""
    width, writer = CONTENT_V2.output_shape[2], GraphWriter()
    wave = writer.input(CONTENT_V2.given, (WINDOWS, *CONTENT_V2.given_shape[1:]))
    weights = 0.3 * np.random.default_rng(2).standard_normal((width, 1, 400), np.float32)
    channel = writer.node("Unsqueeze", [wave], axes=(1,))
    frames = writer.node("Conv", [channel, writer.constant("weights", weights)], kernel_shape=(400,), strides=(320,))
    writer.node("Transpose", [writer.node("Tanh", [frames])], CONTENT_V2.output, perm=(0, 2, 1))
    writer.output(CONTENT_V2.output, (WINDOWS, *CONTENT_V2.output_shape[1:]))
    with voices.networks.folders.adding(CONTENT_V2.name) as folder:
        (folder / GRAPH_NAME).write_bytes(writer.model())
