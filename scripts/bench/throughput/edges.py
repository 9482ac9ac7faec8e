"""What is not a call: submitting from a stream, a worker that has nothing to do, and how fast things start."""

import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from scripts.bench.arena import MODEL, wait_for
from scripts.bench.ground import Ground, cpu_of, peer
from scripts.bench.usage import rss_mb

_JOBS = 1_000_000
_RATE_GOAL = 25_000
_RSS_GOAL_MB = 300
_IDLE_S = 20.0
_SETTLED_S = 5.0
_IDLE_GOAL = 1.0
_IDLE_RSS_GOAL_MB = 150
_START_GOAL_S = 2.0
_HELP_GOAL_S = 0.3


def submit(ground: Ground) -> None:
    """A stream of prompts becomes rows; the producer's memory does not grow with it."""
    few, many = (peer("submitter", ground.arena.database_url, jobs, MODEL) for jobs in (_JOBS // 10, _JOBS))
    rate = many.calls / many.wall_s
    ground.add("submit: jobs a second", rate, "1/s", f">= {_RATE_GOAL}", holds=rate >= _RATE_GOAL)
    ground.add("submit: producer's CPU a job", 1e6 * many.cpu_s / many.calls, "us")
    ground.add("submit: producer's memory", many.rss_mb, "MB", "<= 300", holds=many.rss_mb <= _RSS_GOAL_MB)
    ground.add("submit: producer's memory at a tenth of the jobs", few.rss_mb, "MB")


def idle(ground: Ground) -> None:
    """A worker from its start to its first call, and then with nothing to do."""
    arena = ground.arena
    arena.stop_workers()
    arena.workers.clear()
    ground.simulator = arena.simulator(latency="0", answers="fast", tokens="approx")
    starts = ground.median("start to first call", lambda attempt: _first_call_s(ground, f"start-{attempt}"))
    ground.add("start of a worker to its first call", starts, "s", "<= 2", holds=starts <= _START_GOAL_S)
    worker = arena.living()
    pause = threading.Event()
    pause.wait(_SETTLED_S)
    before = cpu_of(worker)
    pause.wait(_IDLE_S)
    share = 100 * (cpu_of(worker) - before) / _IDLE_S
    ground.add("idle worker: share of a core", share, "%", "<= 1", holds=share <= _IDLE_GOAL)
    rss = rss_mb(worker[0].pid)
    ground.add("idle worker: memory", rss, "MB", "<= 150", holds=rss <= _IDLE_RSS_GOAL_MB)


def _first_call_s(ground: Ground, name: str) -> float:
    arena = ground.arena
    arena.stop_workers()
    arena.workers.clear()
    seen = ground.simulator.stats()["requests"]
    arena.submit(name, 10)
    began = time.perf_counter()
    arena.worker(slots=8)
    wait_for("the first call", lambda: ground.simulator.stats()["requests"] > seen, timeout_s=60, every_s=0.01)
    return time.perf_counter() - began


def command(ground: Ground) -> None:
    """``sweep --help``."""
    sweep = Path(sys.executable).with_name("sweep")

    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sweep, "--help"], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own command
        return time.perf_counter() - began

    took = statistics.median(once() for _ in range(5))
    ground.add("sweep --help", took, "s", "<= 0.3", holds=took <= _HELP_GOAL_S)
