"""CPU and memory of a process and of what it started."""

import os
import subprocess
import sys
import time

from tests.process_cost import cpu_s, family, memory_mib

BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"


def test_what_a_child_uses_is_its_parent_s_cost() -> None:
    """A process that only waits costs what its child burns."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == b"done"
        found = family(parent.pid)
        used_s, used_mib = cpu_s(parent.pid), memory_mib(parent.pid)
        for pid in found:
            os.kill(pid, 9)
    assert len(found) == 2
    assert used_s >= 0.28
    assert used_mib > 5


def test_a_process_that_has_ended_costs_nothing() -> None:
    """It may end while it is looked at."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait()
    time.sleep(0.01)
    assert cpu_s(ended.pid) == 0
    assert memory_mib(ended.pid) == 0
