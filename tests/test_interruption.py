"""The network is away for some seconds: the call comes back by itself with its face and voice, and nothing leaks."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mirage_rtc import rtc_leg
from models.engines import VoiceSettings
from tests import media
from tests.browser import BrowserCall, RunningServer, chromium, running_server
from tests.leak_detector import FaceWatch, VoiceWatch
from tests.live_calls import LiveCall, face_lane, live_call, voice_lane
from tests.media import Clip
from tests.networks import POSSIBLE, routed_network
from tests.peers import RATE_HZ, Peer
from tests.relay import TURNSERVER, running_relay
from tests.strangers import ice_of
from tests.test_leaks import CONVINCING, LAG_S

BACK_WITHIN_S = 90.0
"""Measured, a call is back after about 1 s; a loaded test machine takes longer."""
_MASK, _PRESET = "mask:visor", "robot"


class _Line:
    """The network under one aiortc peer: while it is cut every datagram is lost, both ways."""

    def __init__(self, peer: Peer) -> None:
        self.cut = False
        for each in ice_of(peer._connection)._protocols:
            received, sendto = each.datagram_received, each.transport.sendto
            each.datagram_received = self._unless_cut(received)
            each.transport.sendto = self._unless_cut(sendto)

    def _unless_cut(self, pass_on: Callable[..., None]) -> Callable[..., None]:
        return lambda *datagram: None if self.cut else pass_on(*datagram)


async def test_an_aiortc_call_rides_out_4_s_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same peer connection goes on, live within a moment, and its sound is as early as before."""
    assert rtc_leg.SILENT_S > 4.0
    monkeypatch.setattr(rtc_leg, "SILENT_S", 30.0)  # 4 s are longer where the machine is busy
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane()) as call:
        await _dress(call)
        leg, line = call.session._rtc, _Line(call.peer)
        await call.peer.until_seen(len(call.peer.seen) + 20)
        before_ms = call.session.stats().audio_ms_p50
        line.cut = True
        await asyncio.sleep(4.0)
        line.cut = False
        await _until_swapped_again(call)
        await call.peer.until_seen(len(call.peer.seen) + 60)

        assert call.session._rtc is leg
        await _until(lambda: call.session.stats().audio_ms_p50 < before_ms + 100)  # one that stays late never is
        await _until_same_person(call)
    _assert_nothing_leaked(call.peer, clip)


async def test_an_aiortc_call_resumes_after_10_s_without_the_network(tmp_path: Path) -> None:
    """The server has freed the media; a new offer on the same session brings face and voice back."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with live_call(tmp_path, clip, voice, face=face_lane(), sound=voice_lane()) as call:
        await _dress(call)
        await call.peer.until_seen(len(call.peer.seen) + 20)
        _Line(call.peer).cut = True
        await asyncio.sleep(10)
        await _until(lambda: call.session.state().transport == "none")
        again = Peer(clip, voice)
        await again.call(call.session.negotiate)
        await _until_swapped_again(call)
        await again.until_seen(60)
        await _until_same_person(call)
        await again.close()
    _assert_nothing_leaked(call.peer, clip)
    _assert_nothing_leaked(again, clip)


async def _dress(call: LiveCall) -> None:
    await call.session.wear(_MASK)
    await call.session.set_voice(VoiceSettings(preset=_PRESET))
    await _until_swapped_again(call)


async def _until_same_person(call: LiveCall) -> None:
    await _until(lambda: (call.session.state().picture, call.session.state().sound) == ("live", "live"))
    state = call.session.state()
    assert (state.identity, state.voice.preset) == (_MASK, _PRESET)


async def _until_swapped_again(call: LiveCall) -> None:
    swapped = call.session.stats().swapped
    await _until(lambda: call.session.stats().swapped >= swapped + 3)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BACK_WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.05)


def _assert_nothing_leaked(peer: Peer, clip: Clip) -> None:
    assert FaceWatch(clip).leaks([seen.frame for seen in peer.seen]) == []
    leaks = VoiceWatch(peer.microphone.sent(), RATE_HZ).leaks(peer.heard(), RATE_HZ, LAG_S)
    assert [leak for leak in leaks if leak.evidence >= CONVINCING] == []


@contextlib.asynccontextmanager
async def _relayed(folder: Path, clip: Clip) -> AsyncIterator[tuple[RunningServer, BrowserCall, Any, Any]]:
    """All media through a coturn that can be stopped: UDP is away, the socket stays."""
    voice = media.speech("man")
    async with (
        running_relay(folder / "turn") as relay,
        running_server(folder / "data", program=("mirage_rtc",), inside=(), **relay.settings) as server,
        chromium(folder / "tab", clip, voice, udp=False) as call,
    ):
        yield server, call, relay.interrupt, relay.restore


@contextlib.asynccontextmanager
async def _routed(folder: Path, clip: Clip, *, udp: bool) -> AsyncIterator[tuple[RunningServer, BrowserCall, Any, Any]]:
    """Browser and server in networks of their own: everything between them is lost, or its UDP."""
    voice = media.speech("man")
    with routed_network() as network:
        async with running_server(
            folder / "data", inside=network.server, host=network.server_ip, behind_proxy="1"
        ) as server:
            secure = f"--unsafely-treat-insecure-origin-as-secure={server.url}"
            async with chromium(folder / "tab", clip, voice, inside=network.caller, flags=(secure,)) as call:
                if udp:
                    yield server, call, network.interrupt_udp, network.restore_udp
                else:
                    yield server, call, network.interrupt, network.restore


needs_relay = pytest.mark.skipif(TURNSERVER is None, reason="coturn is not installed: run `apt-get install coturn`")
needs_root = pytest.mark.skipif(not POSSIBLE, reason="network namespaces need root and iproute2")


@needs_relay
async def test_a_browser_rides_out_4_s_without_its_relay(tmp_path: Path) -> None:
    """What waited in the relay does not make the call late: the sound is soon as early as before."""
    clip = media.talking_head("man_a")
    async with _relayed(tmp_path, clip) as (server, call, interrupt, restore):
        session_id = await _live(call, server)
        interrupt()
        await asyncio.sleep(4)
        restore()
        await _assert_back(call, clip, session_id)
        waits_ms = [await _sound_waits_ms(call)]
        while waits_ms[-1] >= 600 and len(waits_ms) < 60:  # a busy machine's browser takes its time
            waits_ms.append(await _sound_waits_ms(call))
        assert waits_ms[-1] < 600, waits_ms


@needs_root
@pytest.mark.parametrize(("udp", "away_s"), [(False, 10), (True, 10)], ids=["all-10", "udp-10"])
async def test_a_browser_comes_back_by_itself(tmp_path: Path, *, udp: bool, away_s: int) -> None:
    """Everything is lost, the socket too, or UDP alone: nobody clicks, and the same session goes on."""
    clip = media.talking_head("man_a")
    async with _routed(tmp_path, clip, udp=udp) as (server, call, interrupt, restore):
        session_id = await _live(call, server)
        interrupt()
        await asyncio.sleep(away_s)
        restore()
        await _assert_back(call, clip, session_id)


async def _live(call: BrowserCall, server: RunningServer) -> str:
    """Go live and wear a mask that is not the default; the session's id."""
    await call.go_live(server.link)
    await call.until_path("webrtc")
    await call.page.click(f"[data-identity='{_MASK}']")
    await call.until_decoded(40)
    return str((await call.state())["state"]["sessionId"])


async def _assert_back(call: BrowserCall, clip: Clip, session_id: str) -> None:
    """Pictures move again, of the same session with the same face, and none of them is raw."""
    began_s = time.monotonic()
    first = last = await _decoded(call)
    async with asyncio.timeout(BACK_WITHIN_S):
        while last < first + 3 or (await call.state())["connection"]["pathState"] != "connected":
            await asyncio.sleep(0.05)
            last = await _decoded(call)
            first = min(first, last)  # a new peer connection counts from 0
    print(f"back after {time.monotonic() - began_s:.2f} s")  # noqa: T201 - pytest -s shows what was measured
    await call.page.wait_for_function("() => mirageDebug.state.server.picture === 'live'", timeout=90_000, polling=200)
    after = (await call.state())["state"]
    assert after["sessionId"] == session_id
    assert after["server"]["identity"] == _MASK
    assert FaceWatch(clip).leaks(await call.watch(15)) == []


async def _decoded(call: BrowserCall) -> int:
    return int((await call.stats()).get("inbound-rtp-video", {}).get("framesDecoded", 0))


async def _sound_waits_ms(call: BrowserCall) -> float:
    """How long sound waits in the browser's jitter buffer now; without end while none comes, or none is played."""
    before_s, before = await _waited(call)
    await asyncio.sleep(1)
    after_s, after = await _waited(call)
    return 1000 * (after_s - before_s) / (after - before) if after > before else math.inf


async def _waited(call: BrowserCall) -> tuple[float, int]:
    """How long all samples that were played had waited together, in s, and how many they are."""
    sound = (await call.stats()).get("inbound-rtp-audio", {})
    return float(sound.get("jitterBufferDelay", 0.0)), int(sound.get("jitterBufferEmittedCount", 0))
