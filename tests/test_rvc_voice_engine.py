"""Streams of imported voices: as many samples out as in, one delay, the same sound at every hop, no seam at a cut."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models import rvc_voice_engine
from models.engines import VoiceProfile, VoiceSettings
from models.resample import Resampler
from models.runtime import Graph, OnnxGraph
from models.rvc_voice_engine import KEPT_VOICES, LoadedVoice, RvcVoiceEngine, RvcVoiceStream, warm
from models.voice_graph import AUDIO, DECODER_OPEN, LADDER, LATENT, LATENT_OPEN
from models.voice_index import VoiceIndex
from models.voice_listening import Listener
from models.voice_networks import VoiceNetworkStore
from models.voice_pitch import RmvpePitch, TrackedPitch
from models.voice_refusal import VoiceRefused
from models.voice_store import graphs_in
from tests import imported_lane, speech, voice_stand_ins
from tests.test_voice_store import stored

GRACE = VoiceSettings(preset="grace")
Array = NDArray[np.float32]
MIXED = [40, 60, 200, 120, 160, 80, 100, 40, 200]  # 1 s


def stream(voice: LoadedVoice, rate_hz: int = 48_000, settings: VoiceSettings = GRACE) -> RvcVoiceStream:
    """A fresh one."""
    return RvcVoiceStream(voice, sample_rate_hz=rate_hz, settings=settings)


def converted(one: RvcVoiceStream, sound: Array, hops_ms: list[int], rate_hz: int = 48_000) -> Array:
    """The sound in hops of these lengths, over and over, whole ones only."""
    pieces, first = [], 0
    for number in range(len(sound)):
        count = hops_ms[number % len(hops_ms)] * rate_hz // 1000
        if first + count > len(sound):
            break
        pieces.append(one.convert(sound[first : first + count]))
        assert len(pieces[-1]) == count
        first += count
    return np.concatenate(pieces)


def tone(seconds: float, rate_hz: int = 48_000) -> Array:
    """Half a second of silence, a tone of 300 Hz in the middle, silence."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = 0.3 * np.sin(2 * np.pi * 300 * time_s)
    sound[(time_s < 0.5) | (time_s > seconds - 0.5)] = 0
    return sound.astype(np.float32)


def correlation(one: Array, other: Array) -> float:
    """Of two signals."""
    return float(np.corrcoef(one, other)[0, 1])


def jump_ratio(audio: Array, hop: int) -> float:
    """Second differences over the cuts against those everywhere: 1 is no seam."""
    jumps = np.abs(np.diff(audio.astype(np.float64), 2))
    at_cuts = np.concatenate([jumps[cut - 2 : cut + 1] for cut in range(hop, len(jumps), hop)])
    return float(np.sqrt((at_cuts**2).mean() / (jumps**2).mean()))


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("voice_hz", [32_000, 40_000, 48_000])
def test_as_many_samples_leave_as_come(rate_hz: int, voice_hz: int) -> None:
    """At every rung, in any order, for voices of every rate."""
    sound = tone(3.0, rate_hz)
    assert len(converted(stream(voice_stand_ins.voice(voice_hz), rate_hz), sound, MIXED, rate_hz)) == len(sound)


@pytest.mark.parametrize("hops_ms", [[40], [200], MIXED])
def test_the_delay_is_the_declared_one_at_every_hop(hops_ms: list[int]) -> None:
    """Clicks at every millisecond of the grid, by where their energy leaves: the frame of 25 ms is played in 20."""
    sound, one = np.zeros(5 * 48_000, np.float32), stream(voice_stand_ins.voice())
    places = [24_000 + 9648 * number for number in range(20)]
    sound[places] = 0.9
    out = converted(one, sound, hops_ms).astype(np.float64) ** 2
    behind_ms = np.arange(9600) / 48
    late_ms = np.average(np.tile(behind_ms, (20, 1)), weights=[out[place : place + 9600] for place in places])
    assert late_ms == pytest.approx(one.delay_ms - 2.5, abs=1)


@pytest.mark.parametrize(("voice_hz", "up_ms"), [(32_000, 0.75), (40_000, 0.6), (48_000, 0.0)])
def test_the_delay_is_the_sum_of_its_parts_and_none_of_them_grows(voice_hz: int, up_ms: float) -> None:
    """In ms: down to 16 kHz, the end of a frame of content and 20 that follow it, latent waited for, up again."""
    assert _peak_ms(48_000, 16_000) == pytest.approx(1.5, abs=1 / 48)
    assert _peak_ms(voice_hz, 48_000) == pytest.approx(up_ms, abs=1 / 48)
    edges = voice_stand_ins.StandIn(lambda feeds: sliding_window_view(feeds["wave"], 400, axis=1)[:, ::320, ::399])
    heard = Listener(edges, TrackedPitch()).hear(np.arange(1600, dtype=np.float32)).content[-1]
    assert list((1600 - heard) / 16) == [45, 20 + 1 / 16]  # its first sample and its last
    assert stream(voice_stand_ins.voice(voice_hz)).delay_ms == pytest.approx(1.5 + (45 - 20) + 30 + up_ms)


def _peak_ms(from_hz: int, to_hz: int) -> float:
    """When a click is loudest that came at once."""
    click = np.zeros(from_hz // 10)
    click[0] = 1.0
    return float(np.abs(Resampler(from_hz, to_hz).convert(click)).argmax()) / to_hz * 1000


def test_a_move_along_the_ladder_changes_nothing() -> None:
    """Hops of all lengths mixed against 40 ms throughout: the same sound, no cross-fade, no jump."""
    steady, moving = stream(voice_stand_ins.voice()), stream(voice_stand_ins.voice())
    sound = tone(4.0)
    one, other = converted(steady, sound, [40]), converted(moving, sound, MIXED)
    assert correlation(one, other) >= 0.999
    assert (steady.fades, moving.fades) == (0, 0)


def test_the_pitch_follows_its_control_from_the_next_hop_on() -> None:
    """220 Hz, and an octave up 440 Hz; phase goes on, so nothing is faded."""
    one, sound = stream(voice_stand_ins.voice()), tone(4.0)
    low = converted(one, sound[:96_000], [40])
    one.set_voice(VoiceSettings(preset="grace", pitch_semitones=12.0))
    high = converted(one, sound[96_000:], [40])
    assert _pitch_hz(low[48_000:]) == pytest.approx(220, rel=0.02)
    assert _pitch_hz(high[24_000:72_000]) == pytest.approx(440, rel=0.02)
    assert one.fades == 0


def test_a_speaker_is_brought_to_the_voice_s_usual_pitch() -> None:
    """Who speaks at 220 Hz, to 440, without a fade; only if asked, and only where the voice's pitch is known."""
    voice, sound = replace(voice_stand_ins.voice(), pitch_hz=440.0), tone(6.0)
    for known, auto, wanted in ((voice, True, 440), (voice, False, 220), (voice_stand_ins.voice(), True, 220)):
        one = stream(known, settings=VoiceSettings(preset="grace", auto_pitch=auto))
        out = converted(one, sound, [120])
        assert _pitch_hz(out[220_000:255_000]) == pytest.approx(wanted, rel=0.02)
        assert one.fades == 0


def test_a_formant_moves_neither_pitch_nor_delay_and_comes_without_a_click() -> None:
    """Up and down by two semitones while the tone sounds: 220 Hz throughout, over at the declared time, no fade."""
    one, sound, made = stream(voice_stand_ins.voice()), tone(4.0), []
    for number, first in enumerate(range(0, len(sound), 1920)):
        ratio = 1.0 if number < 40 else 1.12 if number < 65 else 0.89
        one.set_voice(VoiceSettings(preset="grace", formant_ratio=ratio))
        made.append(one.convert(sound[first : first + 1920]))
    out = np.concatenate(made)
    for first in (48_000, 100_800, 148_800):
        assert _pitch_hz(out[first : first + 19_200]) == pytest.approx(220, rel=0.02)
    heard = np.flatnonzero(np.abs(out) > 0.1)
    assert abs(heard[-1] - 168_000 - one.delay_ms * 48) < 1200
    assert one.fades == 0
    steady = np.abs(np.diff(out[48_000:72_000], 2)).max()
    assert np.abs(np.diff(out[48_000:160_000], 2)).max() < 1.5 * steady


def test_what_a_stream_holds_does_not_grow() -> None:
    """Not in every half minute: what leaks does so in each, what caches exchange between them goes up and down."""
    one, hop = stream(voice_stand_ins.voice()), tone(1.2)[24_000:33_600]
    held = []
    tracemalloc.start()
    try:
        for _ in range(4):
            for _ in range(150):
                one.convert(hop)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert np.diff(held[1:]).min() < 50_000


def test_what_is_no_number_is_silence() -> None:
    """And too loud is clipped: the sound goes on being finite."""
    one, broken = stream(voice_stand_ins.voice()), tone(1.2)[24_000:33_600]
    broken[10], broken[11], broken[12] = np.nan, np.inf, 50
    for _ in range(5):
        out = one.convert(broken)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1


def indexed(loudness: float = 0.5) -> LoadedVoice:
    """A voice whose recordings are all of one loudness."""
    vectors = np.zeros((9, voice_stand_ins.WIDTH), np.float16)
    vectors[:, 0] = loudness
    index = VoiceIndex(vectors, vectors[:1].astype(np.float32), np.array([0, 9]))
    return replace(voice_stand_ins.voice(), index=index)


def test_the_index_rate_says_how_much_comes_from_the_recordings() -> None:
    """Loudness is what content is here: all, half and none of that of the recordings; without an index none."""
    sound, voice = tone(2.0), indexed()
    own = np.abs(converted(stream(voice), sound, [40])[48_000:72_000]).max()
    for rate in (0.0, 0.5, 1.0):
        settings = VoiceSettings(preset="grace", index_rate=rate)
        found = np.abs(converted(stream(voice, settings=settings), sound, [40])[48_000:72_000]).max()
        assert found == pytest.approx(rate * 0.5 + (1 - rate) * own, rel=0.05)
        plain = np.abs(converted(stream(voice_stand_ins.voice(), settings=settings), sound, [40])[48_000:72_000]).max()
        assert plain == pytest.approx(own, rel=0.01)


def test_the_index_is_heard_alike_at_every_hop_and_turned_without_a_click() -> None:
    """On every rung the same sound, turned up and down on the way."""
    sound, made = tone(3.0), []
    for hops_ms in ([40], [60], [120], MIXED):
        one = stream(indexed())
        first = converted(one, sound[:69_120], [hops_ms[0]])  # 1.44 s, whole hops of each
        one.set_voice(VoiceSettings(preset="grace", index_rate=0.8, protect=0.1))
        made.append(np.concatenate([first, converted(one, sound[len(first) :], hops_ms)]))
        assert one.fades == 0
    for other in made[1:]:
        shared = min(len(other), len(made[0]))
        assert correlation(made[0][:shared], other[:shared]) >= 0.999


@pytest.mark.parametrize("samples", [0, 960, 1919, 1921, 48_000])
def test_a_hop_that_is_on_no_rung_is_refused(samples: int) -> None:
    """With the lengths there are."""
    with pytest.raises(ValueError, match="40, 60, 80"):
        stream(voice_stand_ins.voice()).convert(np.zeros(samples, np.float32))


@pytest.mark.parametrize(
    "settings",
    [
        VoiceSettings(preset="grace", pitch_semitones=25.0),
        VoiceSettings(preset="grace", pitch_semitones=float("nan")),
        VoiceSettings(preset="grace", formant_ratio=1.13),
        VoiceSettings(preset="grace", formant_ratio=float("nan")),
        VoiceSettings(preset="grace", breath=0.5),
        VoiceSettings(preset="grace", index_rate=1.1),
        VoiceSettings(preset="grace", index_rate=float("nan")),
        VoiceSettings(preset="grace", protect=0.6),
        VoiceSettings(preset="grace", gate_db=-10.0),
        VoiceSettings(preset="grace", reference=VoiceProfile(values={})),
        VoiceSettings(preset="other"),
    ],
)
def test_what_the_voice_cannot_do_is_refused_and_the_old_one_stays(settings: VoiceSettings) -> None:
    """A sentence, and the stream goes on."""
    one = stream(voice_stand_ins.voice())
    with pytest.raises(ValueError, match=r"\.$"):
        one.set_voice(settings)
    assert len(one.convert(np.zeros(1920, np.float32))) == 1920


def test_the_stages_of_a_hop_are_timed() -> None:
    """The spec's four, of the last hop, by the clock."""
    one = stream(voice_stand_ins.voice())
    one.convert(np.zeros(1920, np.float32))
    assert list(one.stage_ms) == ["encode", "f0", "convert", "post"]
    assert all(took_ms > 0 for took_ms in one.stage_ms.values())


def test_warming_runs_every_graph_once() -> None:
    """At every rung: the first run of each size is the slow one."""
    voice = voice_stand_ins.voice()
    warm(voice)
    assert isinstance(voice.pitch, RmvpePitch)
    runs = [getattr(graph, "runs", 0) for graph in (voice.content, voice.pitch.graph, voice.latent[LADDER[0]])]
    assert runs == [len(LADDER)] * 3


def test_an_engine_refuses_what_it_cannot_open(tmp_path: Path) -> None:
    """A hop or rate that is none, an unknown voice, a voice whose networks were not prepared, a reference clip."""
    engine = RvcVoiceEngine(stored(tmp_path / "voices"), VoiceNetworkStore(tmp_path / "networks"), hops_ms=(40, 60))
    with pytest.raises(ValueError, match="40, 60"):
        engine.open(sample_rate_hz=48_000, hop_ms=200, settings=GRACE)
    with pytest.raises(ValueError, match="semitones"):
        engine.open(sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings(preset="grace", pitch_semitones=99))
    for preset in ("nobody", "grace"):
        with pytest.raises(VoiceRefused):
            engine.open(sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings(preset=preset))
    with pytest.raises(ValueError, match="16000 or 48000"):
        stream(voice_stand_ins.voice(), 44_100)
    with pytest.raises(ValueError, match="reference"):
        engine.measure(np.zeros(48_000, np.float32), 48_000)


def opened(data_dir: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[RvcVoiceEngine, list[int]]:
    """An engine over real folders, with stand-ins where ONNX Runtime was; and how many were in the content graph."""
    made, inside, crowds = voice_stand_ins.voice(), [0], list[int]()

    def content(feeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        inside[0] += 1
        crowds.append(inside[0])
        time.sleep(0.002)
        inside[0] -= 1
        return voice_stand_ins.loudness(feeds)

    def graph(path: Path, **_: object) -> Graph:
        by_name = {"latent.onnx": made.latent[LADDER[0]], "decoder.onnx": made.decoder[LADDER[0]]}
        return by_name.get(path.name, voice_stand_ins.StandIn(content))

    monkeypatch.setattr(rvc_voice_engine, "OnnxGraph", graph)
    monkeypatch.setattr(rvc_voice_engine, "choose_pitch", lambda *_, **__: (TrackedPitch(), ""))
    voices = imported_lane.store(data_dir, *names)
    return RvcVoiceEngine(voices.store, voices.networks), crowds


def test_hops_and_a_voice_that_is_loaded_take_turns_at_what_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All voices share that network, and it is not to be entered by two threads."""
    engine, crowds = opened(tmp_path, monkeypatch, "grace", "ada")
    spoken = engine.open(sample_rate_hz=48_000, hop_ms=40, settings=GRACE)
    loading = threading.Thread(target=engine.prewarm, args=("ada",))
    loading.start()
    while loading.is_alive():
        spoken.convert(np.zeros(1920, np.float32))
    assert len(crowds) > len(LADDER)
    assert max(crowds) == 1


def test_only_a_few_voices_stay_that_nobody_wears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ones wanted last, and those of open streams; a forgotten one goes at once."""
    names = [f"voice-{number}" for number in range(KEPT_VOICES + 2)]
    engine, _ = opened(tmp_path, monkeypatch, *names)
    engine.load(names[0])
    worn = engine.open(sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings(preset=names[0]))
    for name in names[1:]:
        engine.load(name)
    gc.collect()
    assert [engine.is_loaded(name) for name in names[1:]] == [False, *[True] * KEPT_VOICES]
    assert engine.is_loaded(names[0])  # asked last: who asks for a voice wants it
    engine.forget(names[-1])
    assert not engine.is_loaded(names[-1])
    assert len(worn.convert(np.zeros(1920, np.float32))) == 1920


@cache
def real_voice(folder: Path) -> LoadedVoice:
    """The generator of a voice in ONNX Runtime, exported from weights of no person; content and pitch are stand-ins."""
    pytest.importorskip("torch")
    from models.convert.onnx_export import SharedWeights, export
    from models.convert.streaming_graph import DecoderGraph, LatentGraph, decoder_probe, latent_probe
    from tests.test_streaming_graph import SHAPE, network

    made, shared, rung = voice_stand_ins.voice(), SharedWeights(folder), LADDER[-1]
    paths = graphs_in(folder)
    export(LatentGraph(network()).eval(), latent_probe(SHAPE, rung), LATENT, paths.latent, shared, LATENT_OPEN)
    export(DecoderGraph(network()).eval(), decoder_probe(SHAPE, rung), AUDIO, paths.decoder, shared, DECODER_OPEN)
    return LoadedVoice(
        content=made.content,
        pitch=made.pitch,
        latent=dict.fromkeys(LADDER, OnnxGraph(paths.latent)),
        decoder=dict.fromkeys(LADDER, OnnxGraph(paths.decoder)),
        feature_width=made.feature_width,
        sample_rate_hz=SHAPE.sample_rate_hz,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the graphs."""
    return tmp_path_factory.mktemp("graphs")


def test_the_generator_s_audio_does_not_depend_on_the_hop(folder: Path) -> None:
    """40, 60, 80 and 120 ms and all of them mixed, on speech: correlation 0.999 and more; no fade; no jump at a cut."""
    sound = speech.speech(3.0, 48_000)[: 48 * 1440]
    half = sound[: 48 * 720]  # whole hops of each
    voice = real_voice(folder)
    steady = stream(voice)
    wanted = converted(steady, sound, [40])
    assert wanted.std() > 0.01
    assert 0.8 <= jump_ratio(wanted[14_400:], 1920) <= 1.5
    for hops_ms in ([60], [80], [120], [40, 120, 60, 80, 60]):
        one = stream(voice)
        alike = correlation(wanted[: len(half)], converted(one, half, hops_ms))
        assert alike >= 0.999, hops_ms
        assert one.fades == 0


def test_the_generator_s_audio_does_not_depend_on_the_hop_with_a_formant(folder: Path) -> None:
    """Two semitones down, where the decoder sees least of what follows: correlation 0.999, no fade, no jump."""
    sound = speech.speech(2.0, 48_000)[: 48 * 960]
    voice, settings = real_voice(folder), VoiceSettings(preset="grace", formant_ratio=0.89)
    one, other = stream(voice, settings=settings), stream(voice, settings=settings)
    wanted = converted(one, sound, [40])
    assert wanted.std() > 0.01
    assert 0.8 <= jump_ratio(wanted[14_400:], 1920) <= 1.5
    assert correlation(wanted, converted(other, sound, [120])) >= 0.999
    assert (one.fades, other.fades) == (0, 0)


def _pitch_hz(sound: Array) -> float:
    """Of a tone, by where it rises through zero."""
    rises = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    return float(48_000 * (len(rises) - 1) / (rises[-1] - rises[0]))
