"""Reads upload bodies within bounds. One that is too large is read to its end (up to a point) and thrown away.

A server that answers and closes in the middle of an upload makes browsers report a lost connection instead of the
answer; reading on costs nothing but the bytes. Called by `identity_api.py` and `voices_api.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import BodyPartReader, web

from mirage_rtc.errors import BadInput, MirageError, TooLarge
from models.portrait_rules import MAX_PICTURES
from signaling.limits import Limits

T = TypeVar("T")

UPLOAD_S = 60.0
FORM_PARTS = {"picture": MAX_PICTURES, "consent": 1}
"""The parts of a form, and how often each may come."""
FORM_UPLOADS = 3
"""All parts of a form together have at most so many times `upload_bytes`."""

ReadSome = Callable[[], Awaitable[bytes]]
"""The next bytes; empty at the end."""


async def read_body(request: web.Request, limits: Limits, *, too_large: MirageError) -> bytes:
    """A whole request body of at most `limits.upload_bytes`; raises `too_large` or BadInput `upload_stalled`."""
    return await _in_time(_gather(request.content.readany, request, limits, too_large))


async def read_form(request: web.Request, limits: Limits, *, too_large: MirageError) -> dict[str, list[bytes]]:
    """The parts of a multipart body by name, in order, each of at most `limits.upload_bytes`.

    Raises `too_large`, TooLarge `form_too_large`, BadInput `upload_bad` or `upload_stalled`.
    """
    if request.content_type != "multipart/form-data":
        raise _bad()
    return await _in_time(_parts(request, limits, too_large))


async def _in_time(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(UPLOAD_S):
            return await work
    except TimeoutError:
        raise BadInput("upload_stalled", "The upload did not finish within a minute. Try a smaller file.") from None


async def _parts(request: web.Request, limits: Limits, too_large: MirageError) -> dict[str, list[bytes]]:
    try:
        return await _walk(request, limits, too_large)
    except (ValueError, RuntimeError, AssertionError):  # how aiohttp's reader says that a body is malformed
        raise _bad() from None


async def _walk(request: web.Request, limits: Limits, too_large: MirageError) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    left = FORM_UPLOADS * limits.upload_bytes
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        name = part.name if isinstance(part, BodyPartReader) else None
        if not isinstance(part, BodyPartReader) or name not in FORM_PARTS:
            raise _bad()
        if len(found.setdefault(name, [])) >= FORM_PARTS[name]:
            await _discard(request, limits.discard_bytes)
            raise _bad()
        found[name].append(await _gather(part.read_chunk, request, limits, too_large))
        left -= len(found[name][-1])
        if left < 0:
            await _discard(request, limits.discard_bytes)
            raise _form_too_large(limits)
    return found


async def _gather(read: ReadSome, request: web.Request, limits: Limits, too_large: MirageError) -> bytes:
    gathered = bytearray()
    while chunk := await read():
        gathered += chunk
        if len(gathered) > limits.upload_bytes:
            gathered.clear()
            await _discard(request, limits.discard_bytes)
            raise too_large
    return bytes(gathered)


async def _discard(request: web.Request, most_bytes: int) -> None:
    """Read on and throw away, so that the sender is there to hear the answer."""
    seen = 0
    while seen < most_bytes and (chunk := await request.content.readany()):
        seen += len(chunk)


def picture_too_large(limits: Limits) -> TooLarge:
    """The error of a portrait beyond the upload limit."""
    return TooLarge(
        "picture_too_large",
        f"A portrait upload has at most {limits.upload_bytes // 2**20} MiB; send a smaller picture.",
    )


def _form_too_large(limits: Limits) -> TooLarge:
    return TooLarge(
        "form_too_large",
        f"All pictures of one upload have at most {FORM_UPLOADS * limits.upload_bytes // 2**20} MiB together; "
        "send smaller ones.",
    )


def clip_too_large(limits: Limits) -> TooLarge:
    """The error of a reference clip beyond the upload limit."""
    return TooLarge(
        "clip_too_large", f"A reference clip has at most {limits.upload_bytes // 2**20} MiB; cut it to 30 s or less."
    )


def _bad() -> BadInput:
    return BadInput(
        "upload_bad",
        f"Send multipart/form-data with 1 to {MAX_PICTURES} parts `picture` and one part `consent` (JSON).",
    )
