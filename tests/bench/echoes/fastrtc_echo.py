"""What FastRTC gives: an audio-video `Stream` whose handler returns what it receives.

Runs in an environment of its own, without this project: `python fastrtc_echo.py PORT [WORK_MS]`. Prints "ready". For
`peer_bench`.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import uvicorn
from fastapi import FastAPI
from fastrtc import AsyncAudioVideoStreamHandler, Stream

WORK_S = float(sys.argv[2]) / 1000.0 if len(sys.argv) > 2 else 0.0
RATE_HZ = 48_000


def only_loopback(use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
    """The addresses that ICE offers: the bench stays on this machine."""
    return ["127.0.0.1"]


class Echo(AsyncAudioVideoStreamHandler):  # type: ignore[misc]
    """Returns pictures and sound as they come, each picture worked on in a thread."""

    def __init__(self) -> None:
        super().__init__(expected_layout="mono", input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
        self._pictures: asyncio.Queue[Any] = asyncio.Queue()
        self._sounds: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> "Echo":
        """One handler a connection."""
        return Echo()

    async def video_receive(self, frame: Any) -> None:
        """A picture came."""
        if WORK_S:
            await asyncio.to_thread(time.sleep, WORK_S)
        self._pictures.put_nowait(frame)

    async def video_emit(self) -> Any:
        """The next picture to send."""
        return await self._pictures.get()

    async def receive(self, frame: tuple[int, Any]) -> None:
        """Sound came."""
        self._sounds.put_nowait(frame)

    async def emit(self) -> Any:
        """The next sound to send."""
        return await self._sounds.get()


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Say that the routes are there; uvicorn listens a moment later."""
    print("ready", flush=True)  # noqa: T201
    yield


if __name__ == "__main__":
    aioice.ice.get_host_addresses = only_loopback
    stream = Stream(
        Echo(),
        modality="audio-video",
        mode="send-receive",
        server_rtc_configuration={"iceServers": []},
        concurrency_limit=10,
        verbose=False,
    )
    app = FastAPI(lifespan=lifespan)
    stream.mount(app)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
