"""What every test runs under: one thread a library, no leaked task, no variable of the developer's own."""

import ctypes
import os
import sys

import pytest

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")  # before numpy is imported: two cores, and timings of one thread


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """MIRAGE_* variables of the shell do not reach a test."""
    for name in [name for name in os.environ if name.startswith("MIRAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module", autouse=True)
def _memory_goes_back() -> None:
    """What the module before held of full-size networks goes back to the system: glibc would keep it beside the next's.

    At its own end the last test still holds them.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
