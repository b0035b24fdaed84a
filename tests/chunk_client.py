"""A client of the media fallback in one file, for programs that cannot speak WebRTC: copy it, it needs only aiohttp.

    async with aiohttp.ClientSession() as http:
        async with chunk_call(http, "http://127.0.0.1:8080", link_token) as call:
            await call.send_sound(pcm16_bytes, capture_us=call.now_us())
            await call.send_picture(jpeg_bytes, capture_us=call.now_us())
            async for kind, sequence, capture_us, payload in call:
                ...

Sound is 16-bit little-endian mono at 16 kHz, 3072 samples (192 ms) a chunk; pictures are JPEG. What comes back has the
capture time of what was sent, so latency is `call.now_us() - capture_us`.
"""

import contextlib
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

SOUND = 1
PICTURE = 2
HEADER = struct.Struct("<BBHIQ")
"""u8 kind, u8 version (1), u16 zero, u32 sequence, u64 capture time in us; the payload follows."""

Chunk = tuple[int, int, int, bytes]
"""(kind, sequence, capture_us, payload)."""


class CallEnded(Exception):
    """The server closed the call; the message is its sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ChunkCall:
    """One call over chunks: send media, iterate over what comes back."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        self._socket = socket
        self._sequences: Counter[int] = Counter()
        self.welcome: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.stats: dict[str, Any] = {}
        self.errors: list[dict[str, Any]] = []

    @staticmethod
    def now_us() -> int:
        """The clock of capture times: any steady one will do."""
        return time.monotonic_ns() // 1000

    async def start(self) -> None:
        """Greet, and move the media onto this socket."""
        await self.send(type="hello", version=1)
        while not self.welcome:
            self._take_message(await self._receive())
        await self.send(type="start_chunks")

    async def send(self, **message: Any) -> None:
        """A control message, such as `send(type="set_identity", identity="mask:...")`."""
        await self._socket.send_json(message)

    async def send_sound(self, pcm16: bytes, *, capture_us: int) -> None:
        """One sound chunk; `capture_us` is when its first sample was captured."""
        await self._send_chunk(SOUND, pcm16, capture_us)

    async def send_picture(self, jpeg: bytes, *, capture_us: int) -> None:
        """One picture."""
        await self._send_chunk(PICTURE, jpeg, capture_us)

    async def bye(self) -> None:
        """End the call."""
        await self.send(type="bye")

    def __aiter__(self) -> "ChunkCall":
        return self

    async def __anext__(self) -> Chunk:
        """The next chunk from the server; control messages are kept in `state`, `stats` and `errors` on the way."""
        while True:
            message = await self._receive()
            if isinstance(message, bytes):
                kind, _, _, sequence, capture_us = HEADER.unpack_from(message)
                return kind, sequence, capture_us, message[HEADER.size :]
            self._take_message(message)

    async def _send_chunk(self, kind: int, payload: bytes, capture_us: int) -> None:
        self._sequences[kind] += 1
        await self._socket.send_bytes(HEADER.pack(kind, 1, 0, self._sequences[kind], capture_us) + payload)

    async def _receive(self) -> bytes | dict[str, Any]:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.TEXT:
            body: dict[str, Any] = message.json()
            return body
        raise CallEnded("connection_lost", "The connection to the server was lost.")

    def _take_message(self, message: bytes | dict[str, Any]) -> None:
        if isinstance(message, bytes):
            return
        if message["type"] == "closing":
            raise CallEnded(message["code"], message["sentence"])
        if message["type"] == "error":
            self.errors.append(message)
        if message["type"] in ("welcome", "state", "stats"):
            setattr(self, message["type"], message)


@contextlib.asynccontextmanager
async def chunk_call(http: aiohttp.ClientSession, server: str, token: str) -> AsyncIterator[ChunkCall]:
    """Join with a link token (or come back with a resume token), greeted and with chunks started."""
    async with http.ws_connect(f"{server}/v1/signal", protocols=("mirage.v1", f"bearer.{token}")) as socket:
        call = ChunkCall(socket)
        await call.start()
        yield call
