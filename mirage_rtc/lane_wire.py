"""How a lane and its worker speak: pickled messages over a socket, arrays beside them as they lie in memory.

Both sides block; `worker_process` and `lane_worker` are its users. A picture is written and read once, by the kernel,
into memory of its own that nobody else holds: a pipe that pickles it whole costs several times the CPU.
"""

import copyreg
import io
import pickle
import socket
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOCKET_BYTES = 1 << 21
"""Asked of the kernel for what is on its way: a few pictures, so that neither side wakes for every piece of one."""
BESIDE_BYTES = 1 << 16
"""Smaller arrays, as a hop of sound, go inside the message: to send one by itself costs more than to copy it."""
_HEAD = struct.Struct("<II")  # bytes of the message, number of arrays beside it
_SIZE = struct.Struct("<Q")


class Wire:
    """One end of the way. For one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)

    def send(self, message: Any) -> None:
        """Send one message. Raises OSError when the other side is gone."""
        views: list[memoryview] = []

        def goes_inside(buffer: pickle.PickleBuffer) -> bool:
            view = buffer.raw()
            if view.nbytes < BESIDE_BYTES:
                return True
            views.append(view)
            return False

        written = io.BytesIO()
        pickler = pickle.Pickler(written, protocol=5, buffer_callback=goes_inside)
        pickler.dispatch_table = copyreg.dispatch_table | {np.ndarray: _reduced}
        pickler.dump(message)
        sizes = b"".join(_SIZE.pack(view.nbytes) for view in views)
        self._end.sendall(_HEAD.pack(written.tell(), len(views)) + sizes + written.getvalue())
        for view in views:
            self._end.sendall(view)

    def receive(self) -> Any:
        """Wait for a message; its arrays may be written to. Raises EOFError at the end, OSError for a broken way."""
        length, count = _HEAD.unpack(self._read(_HEAD.size))
        told = self._read(_SIZE.size * count + length)
        beside = [self._read(size) for (size,) in _SIZE.iter_unpack(told[: _SIZE.size * count])]
        return pickle.loads(told[_SIZE.size * count :], buffers=beside)

    def close(self) -> None:
        """The other side reads its end."""
        self._end.close()

    def _read(self, size: int) -> memoryview:
        """So many bytes, in memory of their own."""
        taken = left = np.empty(size, np.uint8).data
        while left.nbytes:
            count = self._end.recv_into(left, 0, socket.MSG_WAITALL)
            if not count:
                raise EOFError
            left = left[count:]
        return taken


def _reduced(array: NDArray[Any]) -> Any:
    """An array that may not be written to arrives as one that may, as any pickled one does."""
    owned = array if array.flags.writeable else array.copy()
    return owned.__reduce_ex__(5)
