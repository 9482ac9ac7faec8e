"""Where a fault is played: one arena with a simulator and workers, and a watch on what the ledger says meanwhile."""

import asyncio
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis

from core.clock import SystemClock
from core.errors import Unavailable
from core.gate.redis import RedisGate
from core.ports import Intent, Limits
from db import control
from db.engine import Engine, connect, transaction
from scripts.bench.arena import Arena, Simulator, wait_for
from scripts.bench.faults.judge import Case

_SAMPLE_S = 0.1
_LOG_CHARS = 100_000  # of each worker, the end

_SAMPLE = """
    SELECT (SELECT coalesce(sum(done + fallback + failed + cancelled), 0) FROM sweep_tallies t WHERE t.sweep_id = s.id),
        ARRAY(SELECT DISTINCT lease_owner FROM chunks c WHERE c.sweep_id = s.id AND c.state = 'leased')
    FROM sweeps s JOIN groups g ON g.id = s.group_id WHERE g.group_type = 'sweep' AND g.name = %s
"""


class NotPlayable(Exception):
    """This machine lacks what the fault takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A worker that was killed, and the calls that it had admitted and not settled: what may be paid twice."""

    pid: int
    at: float
    in_flight: int


@dataclass(slots=True, kw_only=True)
class Stage:
    """One lane's world. ``slots``: chunks in work a worker, ``staff_size``: workers that a scenario finds alive."""

    arena: Arena
    simulator: Simulator
    provider: str = "openai"
    slots: int = 4
    staff_size: int = 4
    module: str = "workers.main"
    scale: float = 1.0  # of every sweep's size
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = connect(self.arena.database_url, role="reader", pool=4)

    def staff(self, count: int | None = None) -> None:
        """Hires until so many workers live."""
        for _ in range((count or self.staff_size) - len(self.arena.living())):
            self.arena.worker(self.provider, slots=self.slots, module=self.module)

    def hire(self, count: int, **settings: str) -> list["subprocess.Popen[bytes]"]:
        """So many workers more, with settings of their own."""
        return [self.arena.worker(self.provider, slots=self.slots, **settings) for _ in range(count)]

    def begin(self, name: str, jobs: int, *faults: str, **fields: Any) -> "Run":
        """Everybody at work, a fresh count, these faults, and a sweep of so many jobs."""
        self.staff()
        self.simulator.tell("faults", {"fail": list(faults)})
        self.simulator.tell("reset")
        size = round(jobs * self.scale)
        self.arena.submit(name, size, provider=self.provider, **fields)
        return self.watch(name, size)

    def watch(self, name: str, jobs: int) -> "Run":
        """Follows a sweep that is there."""
        return Run(stage=self, name=name, jobs=jobs)

    def kill(self, worker: "subprocess.Popen[bytes]") -> Death:
        """SIGKILL. Its calls are counted while it stands still: once it is gone, others settle them."""
        signal_all([worker], signal.SIGSTOP)
        in_flight = self.flying(worker)
        worker.kill()
        worker.wait()
        return Death(pid=worker.pid, at=time.monotonic(), in_flight=in_flight)

    def intents(self) -> Sequence[Intent]:
        """Calls that the gate believes to be in flight."""
        return asyncio.run(_intents(self.arena.environment["REDIS_URL"], self.provider))

    def flying(self, worker: "subprocess.Popen[bytes]") -> int:
        """Calls that this worker has admitted and not settled."""
        return sum(f":{worker.pid}:" in intent.ask.owner for intent in self.intents())

    def most_in_flight(self) -> int:
        """Calls that all workers' slots allow at once."""
        return self.staff_size * int(self.arena.environment["OPENAI_MAX_CONCURRENT_REQUESTS"])

    def requests(self) -> int:
        """What the simulator has been asked since the last reset."""
        return int(self.simulator.stats()["requests"])

    def clear_faults(self) -> None:
        """The provider is well again."""
        self.simulator.tell("faults", {"fail": []})

    def clear(self) -> None:
        """After a play that stalled: its sweep is cancelled, its workers are replaced, its faults are over."""
        self.clear_faults()
        self.arena.kill_workers()
        for name in self._running():
            control.cancel(self.engine, name)

    def keep_logs(self, target: Path) -> None:
        """What the workers have said, for whoever looks for the cause."""
        logs = [self.arena.log_of(number) for number in range(len(self.arena.workers))]
        target.parent.mkdir(exist_ok=True)
        target.write_text("\n".join(f"=== {log.name}\n{log.read_text(errors='replace')[-_LOG_CHARS:]}" for log in logs))

    def _running(self) -> list[str]:
        with transaction(self.engine) as cursor:
            cursor.execute("SELECT g.name FROM sweeps s JOIN groups g ON g.id = s.group_id WHERE s.state <> 'done'")
            return [name for (name,) in cursor.fetchall()]

    def close(self) -> None:
        """Ends the connections."""
        self.engine.dispose()


@dataclass(slots=True, kw_only=True)
class Run:
    """A sweep that is watched from a thread: when how many of its jobs had ended, and who held its chunks."""

    stage: Stage
    name: str
    jobs: int
    samples: list[tuple[float, int]] = field(default_factory=list)
    held_until: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> int:
        """Jobs in a final state."""
        return self.samples[-1][1] if self.samples else 0

    def reach(self, share: float, *, timeout_s: float = 120) -> None:
        """Waits until that share of the jobs has ended."""
        goal = share * self.jobs
        wait_for(f"{share:.0%} of {self.name}", lambda: self.ended >= goal, timeout_s=timeout_s, every_s=0.02)

    def more(self, count: int = 1, *, timeout_s: float = 120) -> float:
        """Waits until more jobs have ended than now, or all; returns the seconds that it took."""
        began, goal = time.monotonic(), min(self.jobs, self.ended + count)
        wait_for(f"progress of {self.name}", lambda: self.ended >= goal, timeout_s=timeout_s, every_s=0.02)
        return time.monotonic() - began

    def end(self, fault: str, *, timeout_s: float = 180, **measured: Any) -> Case:
        """Waits until no job is pending, and takes the judge's count."""
        try:
            wait_for(f"the end of {self.name}", lambda: self.ended >= self.jobs, timeout_s=timeout_s)
            wait_for("the last answers", lambda: not self._flying(), timeout_s=30)
        finally:
            self.stop()
        return Case(fault=fault, sweep=self.name, jobs=self.jobs, stats=self.stage.simulator.stats(), **measured)

    def stop(self) -> None:
        """Ends the watch."""
        self._over.set()
        self._thread.join()

    def stall_s(self, since: float = 0.0) -> float:
        """The longest time without any job ending, between the first and the last one."""
        counts: dict[int, float] = {}  # when so many had ended for the first time
        for at, ended in self.samples:
            if ended and at >= since:
                counts.setdefault(ended, at)
        return max((later - earlier for earlier, later in itertools.pairwise(counts.values())), default=0.0)

    def taken_over_s(self, deaths: Sequence[Death]) -> float:
        """The longest time that a dead worker's name stayed on a chunk."""
        times = [self.held_until.get(owner, 0.0) - death.at for death in deaths for owner in self._names(death)]
        return max([0.0, *times])

    def _names(self, death: Death) -> list[str]:
        return [owner for owner in self.held_until if f":{death.pid}:" in owner]

    def _flying(self) -> int:
        return int(self.stage.simulator.stats()["in_flight"])

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            try:
                with transaction(self.stage.engine) as cursor:
                    cursor.execute(_SAMPLE, (self.name,))
                    row = cursor.fetchone()
            except Unavailable:
                continue
            if row is not None:
                now = time.monotonic()
                self.samples.append((now, int(row[0])))
                self.held_until |= dict.fromkeys(row[1], now)


def signal_all(workers: Sequence["subprocess.Popen[bytes]"], number: signal.Signals) -> None:
    """Sends a signal to living workers."""
    for worker in workers:
        if worker.poll() is None:
            os.kill(worker.pid, number)


async def _intents(url: str, provider: str) -> Sequence[Intent]:
    client = aioredis.from_url(url)
    gate = RedisGate(client, lambda _: Limits(), SystemClock())
    try:
        return await gate.intents(provider)
    finally:
        await gate.close()
        await client.aclose()
