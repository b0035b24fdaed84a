"""Parts of a call for tests: scripted engines in real lanes, a vault with two masks, a registry over both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mirage_rtc.audit import AuditLog
from mirage_rtc.badge import I420
from mirage_rtc.config import load
from mirage_rtc.consent import ConsentForm, ConsentLedger
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import Lane
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.leg import LegParts, Wishes
from mirage_rtc.metrics import Metrics
from mirage_rtc.registry import Registry
from models.engines import Frame, IdentitySource, VoiceSettings

FACE = LaneSpec(engine="tests.scripted_engines:PaintedFaceEngine", pipeline="mirage_rtc.swap_pipeline:SwapPipeline")
TELLING = LaneSpec(engine="tests.scripted_engines:TellingFaceEngine", pipeline="mirage_rtc.swap_pipeline:SwapPipeline")
"""A face lane that recognises people."""
VOICE = LaneSpec(engine="tests.scripted_engines:ScaledVoiceEngine", pipeline="mirage_rtc.voice_pipeline:VoicePipeline")
MASK_A = IdentitySource(kind="mask", name="a")
MASK_B = IdentitySource(kind="mask", name="b")
WISHES = Wishes(identity=MASK_A, voice=VoiceSettings())
SHADE_A, SHADE_B = 50, 187
"""The luma that mask "a" and mask "b" paint, after conversion to video range."""
FORM = ConsentForm(attested_by="A", subject_name="A", relation="self", purpose="test", attests=True)


@dataclass(frozen=True)
class PlainMask:
    """A mask of the test gallery."""

    name: str
    title: str = "Mask"
    description: str = "Nobody."


def picture(value: int = 128, *, width_px: int = 64, height_px: int = 64) -> I420:
    """A flat raw picture."""
    i420 = np.full((height_px * 3 // 2, width_px), 128, np.uint8)
    i420[:height_px] = value
    return i420


def portrait_png(value: int) -> bytes:
    """A portrait that is different from those of other values, and enough for an engine that looks for no face."""
    ok, data = cv2.imencode(".png", np.full((64, 64, 3), value, np.uint8))
    assert ok
    return data.tobytes()


def luma(i420: I420) -> int:
    """The brightness in the middle, away from the badge."""
    return int(i420[i420.shape[0] // 3, i420.shape[1] // 2])


@asynccontextmanager
async def lanes() -> AsyncIterator[tuple[Lane, Lane]]:
    """A running face lane and voice lane."""
    face, voice = Lane("face", FACE), Lane("voice", VOICE)
    await face.start()
    await voice.start()
    try:
        yield face, voice
    finally:
        await face.close()
        await voice.close()


def leg_parts(face: Lane, voice: Lane, clock: "Hands") -> LegParts:
    """What a leg needs, wearing mask "a"."""
    return LegParts(
        call_id="call",
        face_lane=face,
        voice_lane=voice,
        wishes=WISHES,
        fail_policy="card",
        max_faces=1,
        hop_ms=40,
        clock=clock,
        metrics=Metrics(),
    )


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def thumbnail(name: str, size_px: int) -> Frame:
    """What stands for a mask in the gallery."""
    return np.full((size_px, size_px, 3), 99, np.uint8)


@asynccontextmanager
async def registry(
    data_dir: Path, *, face: LaneSpec = FACE, voice: LaneSpec = VOICE, **settings: str
) -> AsyncIterator[tuple[Registry, IdentityVault]]:
    """A started registry over scripted engines; `settings` are MIRAGE_* fields in lower case."""
    environ = {f"MIRAGE_{name.upper()}": value for name, value in settings.items()}
    config = load(None, environ | {"MIRAGE_DATA_DIR": str(data_dir)})
    with AuditLog(data_dir / "audit.jsonl") as audit:
        calls = Registry(config, face=face, voice=voice, audit=audit, metrics=Metrics())
        vault = IdentityVault(
            masks=(PlainMask("a"), PlainMask("b")),
            draw_mask=thumbnail,
            ledger=ConsentLedger(data_dir / "consent.jsonl", b"k" * 32),
            inspect=calls.inspect_portraits,
            max_portraits=2,
            max_bytes=1 << 20,
            max_pixels=1 << 20,
        )
        await calls.start(vault)
        try:
            yield calls, vault
        finally:
            await calls.close()
