"""What the processes of a data directory do to the network, from /proc."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path


def listening(pid: int) -> Iterator[str]:
    """The addresses on which a process listens, from /proc."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()))
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = struct.unpack(f"<{len(raw) // 4}I", raw)
                yield socket.inet_ntop(family, struct.pack(f">{len(words)}I", *words))


def family(directory: Path) -> set[int]:
    """The processes whose open files, working directory or command line lie in the data directory."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            links = [process / "cwd", *(process / "fd").iterdir()]
            places = [str(link.readlink()) for link in links]
            if any(place.startswith(str(directory)) for place in places):
                found.add(int(process.name))
    return found - {os.getpid()}
