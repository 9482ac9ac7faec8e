"""A worker process's name in leases and intents, and whether the process behind a name is certainly gone.

A lease that lapses tells it after ten seconds. On the machine on which it ran, the kernel tells it at once, and without
a doubt: no timeout, no partition and no frozen process looks the same.
"""

import os
import socket
from functools import cache
from hashlib import blake2b
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_ENDED = frozenset("ZX")  # killed, and waiting for its parent to hear of it


def owner_name() -> str:
    """This process: host, pid, the machine's mark, and what tells it from an earlier process with the same pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{_machine()}-{os.urandom(3).hex()}"


def is_gone(owner: str) -> bool:
    """Whether that process has certainly ended. False also where nobody knows: elsewhere, or its pid is in use."""
    process, _, mark = owner.rpartition(":")
    host, _, pid = process.rpartition(":")
    machine = mark.partition("-")[0]
    ours = bool(machine) and (host, machine) == (socket.gethostname(), _machine())
    return ours and pid.isdigit() and not _runs(int(pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # it may be hidden from us
    return state not in _ENDED


@cache
def _machine() -> str:
    """Where pids mean the same: this boot of this kernel, this pid namespace. Empty where that cannot be read."""
    try:
        here = f"{_BOOT.read_text().strip()} {_PIDS.readlink()}"
    except OSError:
        return ""
    return blake2b(here.encode(), digest_size=6).hexdigest()
