"""Two calls at once, a browser's and a light client's: each gets its own face and its own voice, and nothing of the
other's.

The engines paint a colour and play a tone, so that the smallest cross-talk shows; everything else is the product.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from mirage_rtc.config import load
from mirage_rtc.grants import Grants
from mirage_rtc.lane_worker import LaneSpec
from models.engines import Frame, Samples
from models.voice_presets import PRESETS
from signaling import auth
from signaling.app import build_app, serve
from tests import media
from tests.browser import ROOT, BrowserCall, chromium
from tests.call_parts import registry
from tests.fakes import TINTS_BGR, TONES_HZ
from tests.peers import RATE_HZ, Peer, only_loopback, signalled_call

FACE = LaneSpec(engine="tests.fakes:TintFaceEngine", pipeline="mirage_rtc.swap_pipeline:SwapPipeline")
VOICE = LaneSpec(engine="tests.fakes:ToneVoiceEngine", pipeline="mirage_rtc.voice_pipeline:VoicePipeline")
KEY = b"k" * 32
LOUD = 0.02
NEAR_HZ = 25.0

_LOUDEST_TONE = """async () => {
  const context = new AudioContext({ sampleRate: 48000 });
  const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(document.querySelector("#remote-video").srcObject).connect(analyser);
  const bins = new Float32Array(analyser.frequencyBinCount), tones = [];
  for (let turn = 0; turn < 1200 && (turn < 40 || tones.length < 10); turn += 1) {
    await new Promise((done) => setTimeout(done, 100));
    analyser.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    if (bins[loudest] > -50) tones.push(loudest * 48000 / 8192);
  }
  return tones;
}"""


@contextlib.asynccontextmanager
async def _server(data_dir: Path) -> AsyncIterator[tuple[str, Callable[[str], str]]]:
    """The whole server in this process over painting engines: its address, and links for it."""
    config = load(None, {"MIRAGE_DATA_DIR": str(data_dir)})
    async with registry(data_dir, face=FACE, voice=VOICE) as (calls, vault):
        application = build_app(
            config=config,
            registry=calls,
            vault=vault,
            voices=PRESETS,
            link_key=KEY,
            prometheus=CollectorRegistry(),
            web_root=ROOT / "web",
        )
        async with serve(application, host="127.0.0.1", port=0, tls=None) as port:
            yield f"http://127.0.0.1:{port}", lambda subject: auth.mint(KEY, subject, Grants(), 600, time.time())


def _middle(frame: Frame) -> tuple[float, ...]:
    """Mean colour of the middle of a picture, BGR."""
    height, width = frame.shape[:2]
    patch = frame[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3]
    return tuple(float(channel) for channel in patch.reshape(-1, 3).mean(axis=0))


def _worn(frame: Frame) -> str:
    """Whose colour a picture shows; "" for a card."""
    seen = np.array(_middle(frame))
    distances = {name: float(np.abs(seen - np.array(tint)).max()) for name, tint in TINTS_BGR.items()}
    nearest = min(distances, key=distances.__getitem__)
    return nearest if distances[nearest] < 30 else ""


def _loudest_tones(sound: Samples) -> list[float]:
    """The strongest frequency of every 100 ms that are loud throughout, in Hz: a tone that is cut off is another."""
    blocks = sound[: len(sound) // 4800 * 4800].reshape(-1, 4800)
    loud = blocks[np.sqrt((blocks.reshape(-1, 10, 480) ** 2).mean(axis=2)).min(axis=1) > LOUD]
    spectra = np.abs(np.fft.rfft(loud * np.hanning(4800), axis=1))
    return [float(bin_ * RATE_HZ / 4800) for bin_ in spectra.argmax(axis=1)]


async def _watch(call: BrowserCall) -> tuple[list[Frame], list[float]]:
    await call.until_path("webrtc")
    await call.until_decoded(40)
    frames = await call.watch(12)
    async with asyncio.timeout(180):
        while sum(_worn(frame) != "" for frame in frames) < 12:  # a busy machine shows a card now and then
            frames += await call.watch(1)
    tones: list[float] = await call.page.evaluate(_LOUDEST_TONE)
    return frames, tones


async def test_two_calls_do_not_mix(tmp_path: Path) -> None:
    """The browser wears mask "a" and the default voice, the client mask "b" and a lower one; nothing crosses over."""
    peer = Peer(media.talking_head("woman_a"), media.speech("woman"))
    man, speech = media.talking_head("man_a"), media.speech("man")
    with only_loopback():
        async with (
            _server(tmp_path) as (address, link_for),
            signalled_call(address, link_for("client"), peer) as client,
            chromium(tmp_path / "tab", man, speech) as browser,
        ):
            await client.send(type="set_identity", identity="mask:b")
            await client.send(
                type="set_voice", preset="lower", pitch_semitones=0.0, formant_ratio=1.0, breath=0.0, reference=None
            )
            await peer.until_seen(len(peer.seen) + 20)
            settled, settled_at = len(peer.seen), len(peer.heard())
            await browser.go_live(f"{address}/#t={link_for('person')}")
            frames, tones = await _watch(browser)
            await peer.until_seen(settled + 100)
            client_frames = [seen.frame for seen in peer.seen[settled:]]
            client_tones = _loudest_tones(peer.heard()[settled_at:])

    assert {_worn(frame) for frame in frames} - {""} == {"a"}
    _assert_own_tone(tones, "disguise", "lower")
    assert {_worn(frame) for frame in client_frames} <= {"b", ""}
    assert sum(_worn(frame) == "b" for frame in client_frames) > 30
    _assert_own_tone(client_tones, "lower", "disguise")
    assert browser.errors == []


def _assert_own_tone(tones: list[float], own: str, other: str) -> None:
    """Never the other one's; a busy machine's gaps leave some that are nobody's."""
    near = {name: sum(abs(tone - TONES_HZ[name]) < NEAR_HZ for tone in tones) for name in (own, other)}
    assert near[other] == 0
    assert near[own] >= max(5, 0.8 * len(tones))
