"""Downloads resume, give up with a reason, and never take what does not fit. A real server on loopback."""

import asyncio
import random
from pathlib import Path

import pytest

from models.download import TRIES, DownloadFailed, download
from tests.file_server import FileServer, serving

CONTENT = random.Random(7).randbytes(3_000_000)
SIZES = frozenset({len(CONTENT)})


async def fetch(server: FileServer, part: Path, *, stall_s: float = 5.0) -> list[tuple[str, int, int]]:
    """Download in a thread, without pauses between tries; returns what was told of the progress."""
    steps: list[tuple[str, int, int]] = []

    def run() -> None:
        download(server.url, part, SIZES, lambda *step: steps.append(step), stall_s=stall_s, pause=lambda _s: None)

    await asyncio.to_thread(run)
    return steps


async def test_a_file_comes_whole_and_tells_its_progress(tmp_path: Path) -> None:
    """One request, no range, and the last word is all of the bytes."""
    async with serving(FileServer(CONTENT)) as server:
        steps = await fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [""]
    assert steps[-1] == ("weights.onnx", len(CONTENT), len(CONTENT))


async def test_what_an_earlier_call_left_is_not_fetched_again(tmp_path: Path) -> None:
    """A range request for the rest."""
    (tmp_path / "part").write_bytes(CONTENT[:1_000_000])
    async with serving(FileServer(CONTENT)) as server:
        await fetch(server, tmp_path / "part")
    assert server.asked == ["bytes=1000000-"]
    assert (tmp_path / "part").read_bytes() == CONTENT


async def test_broken_connections_are_taken_up_where_they_ended(tmp_path: Path) -> None:
    """More cuts than tries: they do not count as long as bytes keep coming."""
    async with serving(FileServer(CONTENT, cuts=[400_000] * (TRIES + 1))) as server:
        await fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert len(server.asked) == TRIES + 2
    assert all(wanted.startswith("bytes=") for wanted in server.asked[1:])


async def test_a_server_without_ranges_begins_again(tmp_path: Path) -> None:
    """It answers 200 with all of it: nothing is sewn together."""
    (tmp_path / "part").write_bytes(b"?" * 1_000_000)
    async with serving(FileServer(CONTENT, ranges=False)) as server:
        await fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


async def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    """416 to the range request, then all of it."""
    (tmp_path / "part").write_bytes(b"?" * (len(CONTENT) + 5))
    async with serving(FileServer(CONTENT)) as server:
        await fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


async def test_a_stalled_connection_is_given_up_and_resumed(tmp_path: Path) -> None:
    """Half comes, then silence; the second request asks for the rest."""
    async with serving(FileServer(CONTENT, stalls=1)) as server:
        await fetch(server, tmp_path / "part", stall_s=0.3)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == ["", f"bytes={len(CONTENT) // 2}-"]


async def test_a_busy_server_is_asked_again_and_an_absent_file_is_not(tmp_path: Path) -> None:
    """503 and 429 may pass; 404 is the answer, and says so."""
    async with serving(FileServer(CONTENT, statuses=[503, 429])) as server:
        await fetch(server, tmp_path / "part")
    assert len(server.asked) == 3
    async with serving(FileServer(CONTENT, statuses=[404])) as server:
        with pytest.raises(DownloadFailed, match="404"):
            await fetch(server, tmp_path / "other")
    assert len(server.asked) == 1


async def test_a_server_that_stays_down_is_given_up(tmp_path: Path) -> None:
    """As many tries as promised, then the reason."""
    async with serving(FileServer(CONTENT, statuses=[500] * 20)) as server:
        with pytest.raises(DownloadFailed, match="500"):
            await fetch(server, tmp_path / "part")
    assert len(server.asked) == TRIES


@pytest.mark.parametrize(("content", "reason"), [(CONTENT + b"!", "more than"), (CONTENT[:-9], "the server gives")])
async def test_another_file_of_another_size_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Too long is cut off before it fills the disk; too short is no broken connection. Neither is resumed later."""
    async with serving(FileServer(content)) as server:
        with pytest.raises(DownloadFailed, match=reason):
            await fetch(server, tmp_path / "part")
    assert not (tmp_path / "part").exists() or not (tmp_path / "part").stat().st_size


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://models.example/a", "weights.onnx"])
def test_only_http_addresses_are_opened(tmp_path: Path, url: str) -> None:
    """The address may come from a variable."""
    with pytest.raises(DownloadFailed, match="not an http"):
        download(url, tmp_path / "part", SIZES, lambda *_: None)


def test_nobody_there_is_a_reason_not_a_traceback(tmp_path: Path) -> None:
    """Port 9 of loopback: refused, as often as tried."""
    with pytest.raises(DownloadFailed, match="refused"):
        download("http://127.0.0.1:9/a", tmp_path / "part", SIZES, lambda *_: None, pause=lambda _s: None)
