"""What aiortc gives as it ships: each track is sent back through a track of one's own, as in its example server.

`python aiortc_echo.py PORT [WORK_MS]`: `POST /offer` answers an SDP offer. Prints "ready". For `peer_bench`.
"""

import asyncio
import sys
import time
from typing import Any

import aioice.ice
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

WORK_S = float(sys.argv[2]) / 1000.0 if len(sys.argv) > 2 else 0.0
CONNECTIONS: set[RTCPeerConnection] = set()


def only_loopback(use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
    """The addresses that ICE offers: the bench stays on this machine."""
    return ["127.0.0.1"]


class TransformTrack(MediaStreamTrack):
    """Another track, each picture worked on in a thread."""

    def __init__(self, source: MediaStreamTrack) -> None:
        super().__init__()
        self.kind = source.kind
        self._source = source

    async def recv(self) -> Any:
        """The source's next frame."""
        frame = await self._source.recv()
        if WORK_S and self.kind == "video":
            await asyncio.get_running_loop().run_in_executor(None, time.sleep, WORK_S)
        return frame


async def offer(request: web.Request) -> web.Response:
    """Answer an offer with a connection that echoes."""
    asked = await request.json()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    CONNECTIONS.add(connection)

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        connection.addTrack(TransformTrack(track))

    await connection.setRemoteDescription(RTCSessionDescription(sdp=asked["sdp"], type="offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    return web.json_response({"sdp": connection.localDescription.sdp})


if __name__ == "__main__":
    aioice.ice.get_host_addresses = only_loopback
    app = web.Application()
    app.router.add_post("/offer", offer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=lambda _: print("ready", flush=True))  # noqa: T201
