"""What processes have used, from Linux' ``/proc``: CPU seconds and resident memory."""

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    # The name in brackets may hold anything; utime and stime are the 12th and 13th field behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def tree_cpu_s(pid: int) -> float:
    """The same with all living descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(tree_cpu_s(int(child)) for child in children)


def family_cpu_s(pid: int) -> float:
    """The same with all descendants, those that have ended and were waited for too: a server with its sessions."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) * _TICK_S
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + ended + sum(_family_cpu_s_or_none(int(child)) for child in children)


def _family_cpu_s_or_none(pid: int) -> float:
    try:
        return family_cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended: its parent tells of it next time
        return 0.0


def rss_mb(pid: int) -> float:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20


def peak_rss_mb() -> float:
    """The most that this process has had. Not ``getrusage``: there, a child begins with its parent's peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
