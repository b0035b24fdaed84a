"""Messages over a socket, arrays beside them."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mirage_rtc.lane_wire import Wire


@pytest.fixture
def ends() -> Iterator[tuple[Wire, Wire]]:
    """Two ends of one way."""
    ours, theirs = (Wire(end) for end in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def _carried(ends: tuple[Wire, Wire], message: Any) -> Any:
    sending = threading.Thread(target=ends[0].send, args=(message,))
    sending.start()
    received = ends[1].receive()
    sending.join()
    return received


def test_a_message_arrives_as_it_was(ends: tuple[Wire, Wire]) -> None:
    """Plain values, and arrays of any layout, larger than the kernel holds at once."""
    noise = np.random.default_rng(1).integers(0, 256, (3000, 1200), np.uint8)
    arrays = [noise, noise[::3, 7::2], noise.T, noise.astype(np.float32)[0], np.zeros((0, 3)), np.float32(2.5)]
    plain, received = _carried(ends, [{"call": "one", "time_s": 1.5, "none": None}, arrays])

    assert plain == {"call": "one", "time_s": 1.5, "none": None}
    for sent, got in zip(arrays, received, strict=True):
        np.testing.assert_array_equal(sent, got)
        assert got.dtype == sent.dtype


def test_what_arrives_is_owned_and_may_be_written_to(ends: tuple[Wire, Wire]) -> None:
    """Two pictures share no memory, also when they were one when they were sent; a read-only one arrives writable."""
    picture = np.full((300, 200), 7, np.uint8)
    picture.setflags(write=False)
    first = _carried(ends, picture)
    second = _carried(ends, picture)
    first[:] = 99

    assert (picture == 7).all()
    assert (second == 7).all()


def test_an_end_that_is_closed_is_told(ends: tuple[Wire, Wire]) -> None:
    """To whoever reads, also in the middle of a message; to whoever writes, as an error."""
    ends[0]._end.sendall(b"\x05\x00")
    ends[0].close()
    with pytest.raises(EOFError):
        ends[1].receive()
    with pytest.raises(OSError, match="pipe"):
        ends[1].send(np.zeros(100_000))
