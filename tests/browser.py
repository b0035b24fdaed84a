"""A real Chromium with a talking face and a voice as its devices, and the real server process that it calls.

`running_server` starts `python -m mirage_rtc serve` and reads the printed link; `chromium` opens the distribution's
browser. Used by `test_browser_call`, `test_two_calls` and `bench/call_bench.py`.
"""

import asyncio
import base64
import contextlib
import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.async_api import ConsoleMessage, Error, Page, async_playwright

from models.engines import Frame, Samples
from tests import media
from tests.media import Clip
from tests.model_store import model_store

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 180.0
"""A busy machine may take so long for anything that is waited for; one that has time takes a second."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)
_GRAB = """(selector) => {
  const shown = document.querySelector(selector);
  const width = shown.videoWidth || shown.width, height = shown.videoHeight || shown.height;
  if (!width) return null;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(shown, 0, 0);
  return canvas.convertToBlob({ type: "image/png" }).then((blob) => new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(blob);
  }));
}"""
_PEER = """(policy) => {
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(config) { super({ ...config, iceTransportPolicy: policy }); window.testPeer = this; }
  };
}"""
_STATS = """async () => {
  const found = {};
  for (const report of (await window.testPeer.getStats()).values())
    if (["inbound-rtp", "outbound-rtp"].includes(report.type)) found[`${report.type}-${report.kind}`] = report;
  return found;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server process and the link it printed."""

    pid: int
    link: str
    data_dir: Path

    @property
    def url(self) -> str:
        """Its address."""
        return self.link.partition("/#")[0]

    @property
    def token(self) -> str:
        """The link's token."""
        return self.link.partition("#t=")[2]

    async def another_link(self, subject: str, *options: str) -> str:
        """A link for someone else, from the `token` command."""
        environ = _environment(self.data_dir, int(self.url.rpartition(":")[2]))
        arguments = (sys.executable, "-m", "mirage_rtc", "token", "--subject", subject, *options)
        process = await asyncio.create_subprocess_exec(
            *arguments, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return _link_in(out.decode())


@contextlib.asynccontextmanager
async def running_server(
    data_dir: Path,
    *options: str,
    program: tuple[str, ...] = ("mirage_rtc",),
    inside: tuple[str, ...] = (),
    **settings: str,
) -> AsyncIterator[RunningServer]:
    """The server in its own process on a free port, with the models that the tests share; stopped at the end.

    `program` is what `python -m` runs, `inside` what stands before the command: a network namespace of `networks`.
    """
    _share_models(data_dir)
    environ = _environment(data_dir, 0) | {f"MIRAGE_{name.upper()}": text for name, text in settings.items()}
    arguments = (*inside, sys.executable, "-m", *program, "serve", *options)
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await process.stdout.readline()
        yield RunningServer(pid=process.pid, link=_link_in(line.decode()), data_dir=data_dir)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@dataclass(kw_only=True)
class BrowserCall:
    """One tab of the call page, and everything that went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)

    async def go_live(self, link: str) -> None:
        """Open the link and press the big button."""
        await self.page.goto(link)
        await self.page.click("#go-live:not([disabled])", timeout=1000 * PATIENCE_S)

    async def state(self) -> dict[str, Any]:
        """What the page says of itself."""
        found: dict[str, Any] = await self.page.evaluate("() => window.mirageDebug")
        return found

    async def until_path(self, path: str, within_ms: float = 1000 * PATIENCE_S) -> None:
        """Wait until media flows over "webrtc" or "chunks"."""
        flows = "p => mirageDebug.connection.path === p && mirageDebug.connection.pathState === 'connected'"
        await self.page.wait_for_function(flows, arg=path, timeout=within_ms, polling=200)

    async def stats(self) -> dict[str, Any]:
        """The browser's own RTP figures, by "inbound-rtp-video" and so on."""
        found: dict[str, Any] = await self.page.evaluate(_STATS)
        return found

    async def until_decoded(self, count: int, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until so many returned pictures were decoded; the figures then."""
        async with asyncio.timeout(within_s):
            while True:
                figures = await self.stats()
                if figures.get("inbound-rtp-video", {}).get("framesDecoded", 0) >= count:
                    return figures
                await asyncio.sleep(0.2)

    async def grab(self, selector: str = "#remote-video") -> Frame | None:
        """The picture that is shown now, or None where there is none yet."""
        encoded = await self.page.evaluate(_GRAB, selector)
        if encoded is None:
            return None
        pixels = np.frombuffer(base64.b64decode(encoded), np.uint8)
        return np.asarray(cv2.imdecode(pixels, cv2.IMREAD_COLOR), np.uint8)

    async def watch(self, count: int, selector: str = "#remote-video", every_s: float = 0.15) -> list[Frame]:
        """`count` pictures, one each `every_s`."""
        frames: list[Frame] = []
        while len(frames) < count:
            frame = await self.grab(selector)
            if frame is not None:
                frames.append(frame)
            await asyncio.sleep(every_s)
        return frames

    def note(self, message: ConsoleMessage) -> None:
        """Keep an error of the console."""
        if message.type == "error":
            self.errors.append(message.text)

    def note_error(self, error: Error) -> None:
        """Keep an uncaught error."""
        self.errors.append(str(error))


@contextlib.asynccontextmanager
async def chromium(
    folder: Path,
    clip: Clip,
    voice: Samples,
    *,
    udp: bool = True,
    inside: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
) -> AsyncIterator[BrowserCall]:
    """A browser whose camera is `clip` and whose microphone is `voice` at 48 kHz, with an empty tab.

    Without `udp` it finds no way for media, as behind a firewall: only relays are allowed, and there may be none.
    `inside` is a network namespace of `networks`, as for the server.
    """
    assert CHROMIUM is not None, "install Chromium from the distribution: apt-get install chromium"
    devices = [*_devices(folder, clip, voice), *flags]
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=_wrapped(folder, inside) if inside else CHROMIUM,
            headless=True,
            args=[*FLAGS, *devices],
            ignore_default_args=["--mute-audio"],
            viewport={"width": 1280, "height": 800},
            timeout=1000 * PATIENCE_S,
        )
        context.set_default_timeout(1000 * PATIENCE_S)
        try:
            await context.add_init_script(f"({_PEER})('{'all' if udp else 'relay'}')")
            call = BrowserCall(page=context.pages[0])
            call.page.on("console", call.note)
            call.page.on("pageerror", call.note_error)
            yield call
        finally:
            await context.close()


def _wrapped(folder: Path, inside: tuple[str, ...]) -> Path:
    """A program that starts the browser inside something."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(inside)} {CHROMIUM} "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def _environment(data_dir: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIRAGE_")}
    return kept | {"MIRAGE_DATA_DIR": str(data_dir), "MIRAGE_PORT": str(port), "OMP_NUM_THREADS": "1"}


def _share_models(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700, exist_ok=True)
    (data_dir / "models").symlink_to(model_store().root)


def _devices(folder: Path, clip: Clip, voice: Samples) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    camera = media.write_mjpeg(clip, folder / "camera.mjpeg")
    microphone = media.write_wav(voice, folder / "microphone.wav")
    return [f"--use-file-for-fake-video-capture={camera}", f"--use-file-for-fake-audio-capture={microphone}"]


def free_port() -> int:
    """A TCP port of this machine that nobody holds now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _link_in(text: str) -> str:
    found = next((word for word in text.split() if "#t=" in word), None)
    assert found is not None, f"the server printed no link but: {text!r}"
    return found
