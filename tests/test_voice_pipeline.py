"""The voice lane's pipeline, in this process."""

import numpy as np
import pytest

from mirage_rtc.voice_pipeline import (
    CloseVoice,
    ConvertHop,
    MeasureVoice,
    OpenedVoice,
    OpenVoice,
    SetVoice,
    UnusableClip,
    VoicePipeline,
)
from models.engines import Samples, VoiceProfile, VoiceSettings
from tests.scripted_engines import ScaledVoiceEngine, ScaledVoiceStream

HOP = np.full(640, 0.8, np.float32)


def _opened() -> VoicePipeline:
    pipeline = VoicePipeline(ScaledVoiceEngine())
    opened = OpenVoice(call_id="one", sample_rate_hz=16_000, hop_ms=40, settings=VoiceSettings())
    assert pipeline.handle(opened) == OpenedVoice(engine="scaled", delay_ms=0.0)
    return pipeline


def test_a_hop_keeps_its_length() -> None:
    """As many samples out as in, as float32, and the time it took."""
    converted = _opened().handle(ConvertHop(call_id="one", samples=HOP))

    assert converted.samples.dtype == np.float32
    assert np.allclose(converted.samples, 0.4)
    assert converted.cpu_ms >= 0


def test_the_voice_changes_at_the_next_hop() -> None:
    """SetVoice acts on what follows it."""
    pipeline = _opened()
    pipeline.handle(SetVoice(call_id="one", settings=VoiceSettings(preset="robot")))

    assert np.allclose(pipeline.handle(ConvertHop(call_id="one", samples=HOP)).samples, 0.2)


def test_the_microphone_s_controls_act_before_any_voice() -> None:
    """A level of 6 dB less and a gate over it, changed live; the gate forgets nothing when the voice changes."""
    pipeline = _opened()
    quiet = VoiceSettings(input_gain_db=-6.0)
    pipeline.handle(SetVoice(call_id="one", settings=quiet))
    heard = [pipeline.handle(ConvertHop(call_id="one", samples=HOP)).samples for _ in range(2)]
    assert np.allclose(heard[1], 0.4 * 10 ** (-6 / 20), atol=1e-3)
    gated = VoiceSettings(preset="robot", gate_db=-40.0)
    pipeline.handle(SetVoice(call_id="one", settings=gated))
    hiss = (1e-3 * np.random.default_rng(1).standard_normal(640)).astype(np.float32)
    heard = [pipeline.handle(ConvertHop(call_id="one", samples=hiss)).samples for _ in range(10)]
    assert heard[0].any()
    assert not heard[-1].any()


def test_an_engine_that_loses_samples_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hop of another length is refused here, not sent."""

    def short(self: ScaledVoiceStream, hop: Samples) -> Samples:
        return hop[1:]

    monkeypatch.setattr(ScaledVoiceStream, "convert", short)
    with pytest.raises(ValueError, match="length"):
        _opened().handle(ConvertHop(call_id="one", samples=HOP))


def test_a_clip_is_measured_or_refused_with_a_sentence() -> None:
    """A silent clip is an answer, not a failure of the engine."""
    pipeline = _opened()
    usable = pipeline.handle(MeasureVoice(clip=HOP, sample_rate_hz=16_000))
    silent = pipeline.handle(MeasureVoice(clip=np.zeros(100, np.float32), sample_rate_hz=16_000))

    assert isinstance(usable, VoiceProfile)
    assert isinstance(silent, UnusableClip)
    assert "speech" in silent.sentence


def test_a_closed_call_is_forgotten() -> None:
    """Its next hop is an error."""
    pipeline = _opened()
    pipeline.handle(CloseVoice(call_id="one"))
    with pytest.raises(KeyError):
        pipeline.handle(ConvertHop(call_id="one", samples=HOP))
