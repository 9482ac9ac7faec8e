"""Producers and commands at bad moments."""

import contextlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.settings import child_environment
from db import control
from db.engine import transaction
from scripts.bench.arena import MODEL, wait_for
from scripts.bench.faults.judge import Case, bounded
from scripts.bench.faults.stage import Stage

_JOBS = 300
_HALF = 60_000  # lines: more than a producer holds before it sends them to PostgreSQL

_HALVES = """
    SELECT (SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM sweeps s WHERE s.id = j.sweep_id))
         + (SELECT count(*) FROM groups WHERE group_type = 'sweep' AND name = %s)
"""


def producer_killed(stage: Stage) -> Case:
    """SIGKILL in the middle of a submission: nothing is half-written, and the second one works."""
    fault = "producer killed mid-submit"
    stage.staff()
    stage.simulator.tell("reset")
    name = "producer-killed"
    producer = _producer(stage, name)
    assert producer.stdin is not None  # noqa: S101 - a pipe was asked for
    producer.stdin.write(_lines(name, 0, _HALF))
    producer.stdin.flush()
    wait_for("a sweep under way", lambda: _writes(stage), timeout_s=30)
    producer.kill()
    producer.wait()
    with contextlib.suppress(BrokenPipeError):
        producer.stdin.close()
    wait_for("the end of its transaction", lambda: not _writes(stage), timeout_s=30)
    halves = _halves(stage, name)
    again = _producer(stage, name)
    again.communicate(_lines(name, 0, _JOBS), timeout=60)
    run = stage.watch(name, _JOBS)
    case = run.end(fault)
    return case.also(
        bounded(fault, "rows of the first submission", halves, "rows", 0),
        bounded(fault, "the second one's exit code", again.returncode, "", 0),
    )


def two_producers(stage: Stage) -> Case:
    """The same sweep from two processes at the same moment is one sweep."""
    fault = "two producers of one sweep"
    stage.staff()
    stage.simulator.tell("reset")
    name = "two-producers"
    both = [_producer(stage, name) for _ in range(2)]
    for producer in both:
        assert producer.stdin is not None  # noqa: S101 - a pipe was asked for
        producer.stdin.write(_lines(name, 0, _JOBS))
        producer.stdin.close()
    codes = [producer.wait(60) for producer in both]
    run = stage.watch(name, _JOBS)
    case = run.end(fault)
    return case.also(bounded(fault, "exit codes other than 0", sum(code != 0 for code in codes), "commands", 0))


def delivered_twice(stage: Stage) -> Case:
    """Every message three times."""
    fault = "every message delivered 3 times"
    run = stage.begin("delivered-twice", _JOBS)
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "scripts.bench.faults.flood", run.name],
        env=child_environment(stage.arena.environment),
        cwd=stage.arena.directory,
        check=True,
        timeout=60,
    )
    return run.end(fault)


def paused(stage: Stage) -> Case:
    """Pause and resume at ten random moments."""
    run = stage.begin("paused", 400)
    rng = random.Random(3)
    for turn in range(10):
        run.reach(0.08 * turn)
        _let_pass(rng.uniform(0, 0.3))
        control.pause(stage.engine, run.name)
        _let_pass(rng.uniform(0, 0.6))
        control.resume(stage.engine, run.name)
    return run.end("pause/resume x10")


def cancelled(stage: Stage, *, within_s: float = 1.0) -> Case:
    """Cancel at a random moment: a second later no new call goes out, and every job has a final state."""
    fault = "cancel"
    run = stage.begin("cancelled", 2000)
    run.reach(0.1)
    control.cancel(stage.engine, run.name)
    _let_pass(within_s)
    after = stage.requests()
    case = run.end(fault, cancelled=run.jobs)
    late = stage.requests() - after
    return case.also(bounded(fault, f"new calls from {within_s:g} s after it", late, "calls", 0))


def _producer(stage: Stage, name: str) -> "subprocess.Popen[bytes]":
    """`sweep submit` reading its records from a pipe."""
    words = ["submit", "prompt", "-", "--name", name, "--provider", stage.provider, "--model", MODEL]
    return subprocess.Popen(  # noqa: S603 - our own command
        [Path(sys.executable).with_name("sweep"), *words],
        env=child_environment(stage.arena.environment),
        cwd=stage.arena.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _lines(name: str, start: int, end: int) -> bytes:
    rows: list[dict[str, Any]] = [{"id": f"{i:05}", "prompt": f"{name}: question {i}?"} for i in range(start, end)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _let_pass(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_for("some time", lambda: time.monotonic() >= until, timeout_s=seconds + 5, every_s=0.01)


def _writes(stage: Stage) -> bool:
    """Whether a producer holds the lock of its sweep's name."""
    with transaction(stage.engine) as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid <> 0")
        return bool(cursor.fetchall()[0][0])


def _halves(stage: Stage, name: str) -> int:
    with transaction(stage.engine) as cursor:
        cursor.execute(_HALVES, (name,))
        return int(cursor.fetchall()[0][0])
