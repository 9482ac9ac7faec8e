"""PostgreSQL, broker and cache: killed, flushed, full, read-only, away."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import redis
import redis.exceptions

from core.errors import LedgerUnavailable
from db.engine import dial
from scripts.bench.arena import wait_for
from scripts.bench.faults.judge import RESUMED_GOAL_S, Case, bounded
from scripts.bench.faults.stage import Run, Stage

_AWAY_S = 6.0
_LONG_S = 13.0  # longer than a lease


def broker_killed(stage: Stage) -> Case:
    """``kill -9``; the supervisor starts it again, with its append-only file."""
    run = stage.begin("broker-killed", 500)
    run.reach(0.3)
    _kill_redis(stage.arena.environment["REDIS_URL"])
    return _resumed(run, "broker kill -9, AOF")


def broker_flushed(stage: Stage) -> Case:
    """FLUSHALL, five times: messages, quota, budget and intents are gone."""
    run = stage.begin("broker-flushed", 600)
    for flush in range(5):
        run.reach(0.15 * (flush + 1))
        with redis.Redis.from_url(stage.arena.environment["REDIS_URL"]) as client:
            client.flushall()
    return _resumed(run, "broker FLUSHALL x5")


def broker_full(stage: Stage) -> Case:
    """No memory left for writes: nothing is sent, and workers live on."""
    fault = f"broker out of memory for {_AWAY_S:g} s"
    run = stage.begin("broker-full", 500)
    run.reach(0.3)
    with redis.Redis.from_url(stage.arena.environment["REDIS_URL"]) as client:
        client.config_set("maxmemory", 1)
        sent = held(run)
        client.config_set("maxmemory", 0)
    resumed_s = run.more(timeout_s=60)
    ended = stage.staff_size - len(stage.arena.living())
    return (
        run.end(fault)
        .resumed(resumed_s)
        .also(
            bounded(fault, "calls sent meanwhile", sent, "calls", stage.most_in_flight()),
            bounded(fault, "workers that ended", ended, "workers", 0),
        )
    )


def cache_killed(stage: Stage) -> Case:
    """``kill -9`` of the cache, which keeps nothing: answers come from the ledger, calls go on."""
    run = stage.begin("cache-killed", 500)
    run.reach(0.3)
    _kill_redis(stage.arena.environment["CACHE_URL"])
    return _resumed(run, "cache killed")


def postgres_restarted(stage: Stage, *, restarts: int = 4) -> Case:
    """Immediate shutdown, four times."""
    run = stage.begin("postgres-restarted", 600)
    for restart in range(restarts):
        run.reach(0.8 * (restart + 1) / restarts)
        os.kill(_postmaster(stage), signal.SIGQUIT)
        run.more()
    return _resumed(run, f"PostgreSQL immediate restart x{restarts}")


def postgres_read_only(stage: Stage) -> Case:
    """No write is taken: no call is made whose result could not be kept."""
    run = stage.begin("postgres-read-only", 500)
    run.reach(0.3)
    _alter(stage, "default_transaction_read_only = on")
    try:
        sent = held(run)
    finally:
        _alter(stage, "default_transaction_read_only = off")
    return kept_back(run, f"PostgreSQL read-only for {_AWAY_S:g} s", sent)


def postgres_away(stage: Stage) -> Case:
    """The server is gone, and comes back."""
    run = stage.begin("postgres-away", 500)
    run.reach(0.3)
    with postgres_stopped(stage):
        sent = held(run, _LONG_S)
    return kept_back(run, f"PostgreSQL away for {_LONG_S:g} s", sent)


def postgres_hung(stage: Stage) -> Case:
    """The server takes connections and answers nothing, as on a frozen machine or a full disk queue."""
    run = stage.begin("postgres-hung", 500)
    run.reach(0.3)
    frozen = _postgres_processes(stage)
    for pid in frozen:
        _signal(pid, signal.SIGSTOP)
    try:
        sent = held(run)
    finally:
        for pid in frozen:
            _signal(pid, signal.SIGCONT)
    return kept_back(run, f"PostgreSQL hung for {_AWAY_S:g} s", sent)


def held(run: Run, seconds: float = _AWAY_S) -> int:
    """Lets the fault stay for its time; returns how many calls were sent after it had come."""
    before, until = run.stage.requests(), time.monotonic() + seconds
    wait_for("the fault's time", lambda: time.monotonic() >= until, timeout_s=2 * seconds)
    return run.stage.requests() - before


def kept_back(run: Run, fault: str, sent: int) -> Case:
    """One more call a slot at most, and on it goes."""
    resumed_s = run.more()
    case = run.end(fault).resumed(resumed_s)
    return case.also(bounded(fault, "calls sent meanwhile", sent, "calls", run.stage.most_in_flight()))


def _resumed(run: Run, fault: str) -> Case:
    case = run.end(fault).resumed(run.stall_s())
    ended = run.stage.staff_size - len(run.stage.arena.living())
    return case.also(bounded(fault, "workers that ended", ended, "workers", 0))


def _kill_redis(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        with redis.Redis.from_url(url) as client, contextlib.suppress(redis.exceptions.RedisError):
            return bool(client.ping())
        return False

    wait_for("the server's return", back, timeout_s=RESUMED_GOAL_S)


def _servers(stage: Stage) -> Path:
    return stage.arena.directory / "servers"


def _postmaster(stage: Stage) -> int:
    return int((_servers(stage) / "postgres" / "postmaster.pid").read_text().split(maxsplit=1)[0])


def _postgres_processes(stage: Stage) -> list[int]:
    """The postmaster and its children."""
    parent = _postmaster(stage)
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def postgres_stopped(stage: Stage) -> Iterator[None]:
    """PostgreSQL is away inside the block."""
    with _supervisor_stopped(stage):
        os.kill(_postmaster(stage), signal.SIGQUIT)
        yield


def postgres_answers(stage: Stage) -> bool:
    """Whether it takes connections."""
    try:
        dial(stage.arena.database_url).close()
    except LedgerUnavailable:
        return False
    return True


@contextlib.contextmanager
def _supervisor_stopped(stage: Stage) -> Iterator[None]:
    """Nobody starts a server again meanwhile."""
    pid = int(json.loads((_servers(stage) / "supervisor.json").read_text())["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _alter(stage: Stage, setting: str) -> None:
    connection = dial(stage.arena.database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET {setting}")
            cursor.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()
