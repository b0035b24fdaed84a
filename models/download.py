"""Fetch one large file over http(s) into a partial file, resuming where an earlier try ended. The store calls it.

Nothing is trusted here but sizes: the store compares the SHA-256 before the bytes get a name. Blocking, never on the
media path.
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

Progress = Callable[[str, int, int], None]
"""Called with (what is being fetched, bytes done, bytes in all)."""

TRIES = 4
_BLOCK_BYTES = 1 << 18


class DownloadFailed(Exception):
    """No complete file came; `reason` completes the sentence "could not be fetched (...)"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def download(
    url: str,
    part: Path,
    sizes: frozenset[int],
    progress: Progress,
    *,
    stall_s: float = 30.0,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Grow `part` until the server says that it is whole; `sizes` are the lengths in bytes that it may have then.

    A connection that breaks, or that gives nothing for `stall_s`, is taken up again where it ended (RFC 9110 §14);
    after `TRIES` in a row that bring nothing new, `DownloadFailed` is raised. What came stays for the next call.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadFailed(f"{url} is not an http(s) address")
    tries, most = TRIES, _length(part)
    while reason := _attempt(url, part, max(sizes), progress, stall_s):
        tries = TRIES if _length(part) > most else tries - 1
        most = max(most, _length(part))
        if not tries:
            raise DownloadFailed(reason)
        pause(0.5 * 2 ** (TRIES - tries))
    if _length(part) not in sizes:
        size = _length(part)
        part.unlink()
        raise DownloadFailed(f"the server gives {size} bytes, and this file has {' or '.join(map(str, sorted(sizes)))}")


def _attempt(url: str, part: Path, limit_bytes: int, progress: Progress, stall_s: float) -> str:
    """One request; returns why it is not whole, or nothing. Raises `DownloadFailed` for what no second try mends."""
    done = _length(part)
    request = urllib.request.Request(url, headers={"User-Agent": "mirage-rtc", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        answer = urllib.request.urlopen(request, timeout=stall_s)  # only http and https get here
    except urllib.error.HTTPError as error:
        return _refused(error, part)
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", None) or error) or type(error).__name__
    with answer, part.open("ab") as out:
        if not _continues(answer, done):
            out.seek(0)
            out.truncate()
        return _copy(answer, out, limit_bytes, lambda size: progress(url.rsplit("/", 1)[-1], size, limit_bytes))


def _refused(error: urllib.error.HTTPError, part: Path) -> str:
    """What a status says. 416: what we hold is longer than what is there, so begin again; 5xx and 429 may pass."""
    with error:
        if error.code == 416 and _length(part):
            part.unlink()
        elif error.code < 500 and error.code != 429:
            raise DownloadFailed(f"the server answers {error.code} {error.reason}") from None
        return f"the server answers {error.code} {error.reason}"


def _continues(answer: http.client.HTTPResponse, done: int) -> bool:
    """Whether the body begins where we ended; a server without ranges answers 200 with all of it."""
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {done}-")


def _copy(answer: http.client.HTTPResponse, out: IO[bytes], limit_bytes: int, show: Callable[[int], None]) -> str:
    """Append the body. A server that sends more than any right file has is cut off: it must not fill the disk."""
    done = out.tell()
    while True:
        try:
            block = answer.read1(_BLOCK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        if not block:
            return "" if not answer.length else "the connection broke off"
        if done + len(block) > limit_bytes:
            out.truncate(0)
            raise DownloadFailed(f"the server sends more than the {limit_bytes} bytes of this file")
        done += out.write(block)
        show(done)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
