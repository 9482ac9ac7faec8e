"""What every play measures with: CPU of processes, peers, and whether the machine is quiet enough to trust a figure."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scripts.bench.arena import Arena, Simulator
from scripts.bench.peers.measure import Measured
from scripts.bench.report import Row
from scripts.bench.usage import cpu_s

_PEER_S = 240.0
_SPREAD = 0.15  # of repeated figures around their median; more, and the machine was busy with something else


class NotMeasured(Exception):
    """A figure could not be had; the message says why."""


@dataclass(slots=True, kw_only=True)
class Ground:
    """A cluster, and what was found on it."""

    arena: Arena
    simulator: Simulator
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The provider's base URL."""
        return f"{self.simulator.url}/v1"

    def add(self, row: str, value: float, unit: str, goal: str = "", *, holds: bool | None = None) -> None:
        """A measured row."""
        self.rows.append(Row(row=row, value=value, unit=unit, goal=goal, holds=holds))

    def note(self, text: str) -> None:
        """What a reader must know beside the rows."""
        self.notes.append(text)

    def median(self, what: str, measure: Callable[[int], float], times: int = 3) -> float:
        """Of several measurements; notes it when they are far apart."""
        found = [measure(attempt) for attempt in range(times)]
        middle = statistics.median(found)
        spread = max(abs(each - middle) for each in found) / middle
        if spread > _SPREAD:
            self.note(f"{what}: {spread:.0%} apart from the median, the machine is busy ({_load()})")
        return middle


def cpu_of(processes: Iterable["subprocess.Popen[bytes]"]) -> float:
    """User and system seconds so far."""
    return sum(cpu_s(process.pid) for process in processes)


def peer(name: str, *arguments: object, python: str = sys.executable) -> Measured:
    """Runs a peer in a process of its own. Raises NotMeasured."""
    command = [python, "-m", f"scripts.bench.peers.{name}", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PEER_S, check=True)  # noqa: S603 - ours
    except subprocess.TimeoutExpired as exc:
        raise NotMeasured(f"peer {name} took more than {_PEER_S:.0f} s") from exc
    except subprocess.CalledProcessError as exc:
        raise NotMeasured(f"peer {name} failed: {_last_line(exc.stderr)}") from exc
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def ms_a_call(found: Measured) -> float:
    """CPU milliseconds."""
    return 1000 * found.cpu_s / found.calls


def busy() -> str | None:
    """Why figures of this machine are not to be trusted now, if so."""
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        return f"the machine is busy before anything is measured: {_load()}"
    return None


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "without a word"
