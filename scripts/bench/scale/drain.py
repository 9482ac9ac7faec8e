"""A sweep from its submission to its last row, and what each side has used for it."""

import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from scripts.bench.arena import MODEL, Arena, wait_for
from scripts.bench.ground import cpu_of, peer
from scripts.bench.peers.measure import Measured
from scripts.bench.usage import family_cpu_s, rss_mb

_LONG_S = 900.0
_LOOK_S = 0.25
_END = 0.1  # the first and the last tenth of a drain


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Seconds of CPU since the cluster began: ours, PostgreSQL's, the Redis servers'."""

    ours: float
    postgres: float
    redis: float

    def since(self, before: "Used") -> "Used":
        return Used(
            ours=self.ours - before.ours, postgres=self.postgres - before.postgres, redis=self.redis - before.redis
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """``used`` without the producer's part, which is in ``submitted``. Memory in MB: the workers' in each tenth."""

    jobs: int
    submitted: Measured
    used: Used
    wall_s: float
    first_rss: float
    last_rss: float
    broker_peak: float

    @property
    def ours_ms(self) -> float:
        """CPU a job of all our processes, the producer's too."""
        return 1000 * (self.used.ours + self.submitted.cpu_s) / self.jobs

    @property
    def postgres_ms(self) -> float:
        """CPU a job of PostgreSQL: submitting, draining, and its own housekeeping meanwhile."""
        return 1000 * self.used.postgres / self.jobs


@dataclass(slots=True, kw_only=True)
class _Watch:
    """How much memory the workers and the broker have while a sweep is drained."""

    arena: Arena
    seen: list[tuple[float, float]] = field(default_factory=list)  # share of the jobs that ended, MB a worker
    broker_peak: float = 0.0

    def look(self, name: str) -> bool:
        """Whether the sweep has ended."""
        status = self.arena.status(name)
        resident = statistics.fmean(rss_mb(worker.pid) for worker in self.arena.living())
        self.seen.append((1 - status.pending / status.jobs, resident))
        self.broker_peak = max(self.broker_peak, _redis(self.arena, "REDIS_URL", "used_memory") / 2**20)
        return not status.pending

    def rss(self, low: float, high: float) -> float:
        """The mean between two shares; the nearest figure where nobody looked in between."""
        within = [resident for share, resident in self.seen if low <= share <= high]
        return statistics.fmean(within or [min(self.seen, key=lambda one: abs(one[0] - (low + high) / 2))[1]])


def drain(arena: Arena, name: str, jobs: int, *, word: str = "", prompts: int | None = None) -> Drained:
    """Submits prompts, and waits for the last. Equal ``word`` and number: an equal prompt, of any sweep."""
    before = used(arena, arena.living())
    submitted = peer("submitter", arena.database_url, jobs, MODEL, name, word or name, prompts or jobs)
    began = time.perf_counter()
    watch = _Watch(arena=arena)
    wait_for(f"the end of {name}", lambda: watch.look(name), timeout_s=_LONG_S, every_s=min(_LOOK_S, jobs / 50_000))
    wall = time.perf_counter() - began
    return Drained(
        jobs=jobs,
        submitted=submitted,
        used=used(arena, arena.living()).since(before),
        wall_s=wall,
        first_rss=watch.rss(0.0, _END),
        last_rss=watch.rss(1 - _END, 1.0),
        broker_peak=watch.broker_peak,
    )


def used(arena: Arena, workers: "Sequence[subprocess.Popen[bytes]]") -> Used:
    """What everybody has used so far."""
    postmaster = (arena.directory / "servers" / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    servers = {arena.environment[name] for name in ("REDIS_URL", "CACHE_URL")}
    return Used(
        ours=cpu_of(workers),
        postgres=family_cpu_s(int(postmaster)),
        redis=sum(_told(url, "used_cpu_user") + _told(url, "used_cpu_sys") for url in servers),
    )


def _redis(arena: Arena, address: str, figure: str) -> float:
    return _told(arena.environment[address], figure)


def _told(url: str, figure: str) -> float:
    with redis.Redis.from_url(url) as client:
        info: dict[str, float] = client.info()
        return float(info[figure])
