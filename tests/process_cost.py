"""What a process and its descendants cost, from /proc (Linux). Used by the benches and by tests that look for leaks."""

import os
from pathlib import Path

TICK_HZ = os.sysconf("SC_CLK_TCK")


def family(root_pid: int) -> set[int]:
    """The process and all that it started, directly or not."""
    parents = {pid: int(fields[1]) for pid in _pids() if (fields := _stat(pid))}
    found, grown = set[int](), {root_pid}
    while grown - found:
        found |= grown
        grown = {pid for pid, parent in parents.items() if parent in found}
    return found


def cpu_s(root_pid: int) -> float:
    """CPU seconds that the family has used so far, in user and kernel mode."""
    used = [_stat(pid) for pid in family(root_pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in used if fields) / TICK_HZ


def memory_mib(root_pid: int) -> float:
    """Memory of the family in MiB, shared pages counted once (proportional set size)."""
    return sum(_pss_kib(pid) for pid in family(root_pid)) / 1024


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _pss_kib(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
