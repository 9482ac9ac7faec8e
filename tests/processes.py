"""What the processes of a data directory do to the network, from /proc."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path


def listening(pid: int) -> Iterator[str]:
    """The addresses on which a process listens, from /proc."""
    inodes = _links(Path(f"/proc/{pid}"))
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in of_process(pid, f"net/{table}").decode().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = struct.unpack(f"<{len(raw) // 4}I", raw)
                yield socket.inet_ntop(family, struct.pack(f">{len(words)}I", *words))


def family(directory: Path) -> set[int]:
    """The processes whose open files, working directory or command line lie in the data directory."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        if any(place.startswith(str(directory)) for place in _links(process)):
            found.add(int(process.name))
    return found - {os.getpid()}


def of_process(pid: int, file: str) -> bytes:
    """A file of a process under /proc; empty when the process has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}", file).read_bytes()
    return b""


def _links(process: Path) -> set[str]:
    """Where its working directory and its open files are: those that are still there."""
    found = set[str]()
    with contextlib.suppress(OSError):
        for link in (process / "cwd", *(process / "fd").iterdir()):
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(str(link.readlink()))
    return found
