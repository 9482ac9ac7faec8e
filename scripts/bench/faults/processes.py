"""Worker processes that are killed, told to stop, frozen, or killed by a job."""

import random
import signal
import subprocess
import time
from collections.abc import Sequence

from db.engine import transaction
from scripts.bench.arena import wait_for
from scripts.bench.faults.judge import RESUMED_GOAL_S, Case, bounded
from scripts.bench.faults.servers import postgres_answers, postgres_stopped
from scripts.bench.faults.stage import Death, Run, Stage, signal_all

_KILLS = 10
_FROZEN_S = 60.0
_LEFT_S = 30.0  # after which whoever runs containers kills
_PEERS_FLYING = 64
_POISON_DEATHS = 6

_LEADERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"

_FAILED = """
    SELECT input_json -> 'row' ->> 'prompt', error_json ->> 'type' FROM jobs WHERE state = 'failed'
      AND sweep_id = (SELECT s.id FROM sweeps s JOIN groups g ON g.id = s.group_id WHERE g.name = %s)
"""


def worker_killed(stage: Stage, *, kills: int = _KILLS) -> Case:
    """SIGKILL, ten times, each time a worker in the middle of its calls."""
    run = stage.begin("worker-killed", 1000)
    rng = random.Random(7)
    deaths: list[Death] = []
    for kill in range(kills):
        run.reach(0.6 * (kill + 1) / kills)
        deaths.append(stage.kill(rng.choice(_busy(stage))))
        stage.staff()
    return _after(run, f"worker SIGKILL x{kills}", deaths)


def worker_terminated(stage: Stage) -> Case:
    """SIGTERM: what is in flight ends, the rest is given back, nothing is paid twice."""
    fault = "worker SIGTERM x2"
    run = stage.begin("worker-terminated", 1000)
    codes, slowest_s = [], 0.0
    for share in (0.1, 0.3):
        run.reach(share)
        worker, began = _busy(stage)[0], time.monotonic()
        signal_all([worker], signal.SIGTERM)
        codes.append(worker.wait(60))
        slowest_s = max(slowest_s, time.monotonic() - began)
        stage.staff()
    extra = (
        bounded(fault, "exit codes other than 0", sum(code != 0 for code in codes), "workers", 0),
        bounded(fault, "drained within", round(slowest_s, 2), "s", RESUMED_GOAL_S),
    )
    return run.end(fault, extra=extra)


def worker_terminated_away(stage: Stage) -> Case:
    """SIGTERM while PostgreSQL is away: one worker leaves in bounded time, one that is told twice at once.

    Their last answers are in the cache, nowhere else, and are not bought again.
    """
    fault = "worker SIGTERM while PostgreSQL is away"
    run = stage.begin("terminated-away", 500)
    run.reach(0.3)
    patient, hurried = (_busy(stage) + stage.arena.living())[:2]
    with postgres_stopped(stage):
        wait_for("the last answers", lambda: not stage.simulator.stats()["in_flight"], timeout_s=60)
        began = time.monotonic()
        signal_all([patient, hurried], signal.SIGTERM)
        wait_for("a second", lambda: time.monotonic() - began > 1, timeout_s=5)
        signal_all([hurried], signal.SIGTERM)
        hurried.wait(60)
        at_once_s = time.monotonic() - began - 1
        code = patient.wait(90)
        took_s = time.monotonic() - began
    # A worker that finds no database ends, and here is no fleet to start another.
    wait_for("PostgreSQL's return", lambda: postgres_answers(stage), timeout_s=60)
    stage.staff()
    extra = (
        bounded(fault, "the patient worker's exit code", code, "", 0),
        bounded(fault, "the patient worker left within", round(took_s, 2), "s", _LEFT_S),
        bounded(fault, "the one told twice left within", round(at_once_s, 2), "s", 2),
    )
    return run.end(fault, extra=extra)


def worker_frozen(stage: Stage, *, seconds: float = _FROZEN_S) -> Case:
    """SIGSTOP for a minute, then SIGCONT: its chunks go to others, and what it does when it wakes up is fenced.

    The frozen worker is the one that feeds the queues: the worst to lose.
    """
    fault = f"feeding worker SIGSTOP {seconds:g} s, then SIGCONT"
    stage.staff(1)
    wait_for("a feeder", lambda: _leaders(stage), timeout_s=60)
    (feeder,) = stage.arena.living()
    run = stage.begin(f"worker-frozen-{seconds:.0f}-s", 600)
    run.reach(0.2)
    wait_for("the feeder's calls", lambda: stage.flying(feeder), timeout_s=30)
    signal_all([feeder], signal.SIGSTOP)
    death = Death(pid=feeder.pid, at=time.monotonic(), in_flight=stage.flying(feeder))
    try:
        run.reach(1.0, timeout_s=60)
        wait_for("a minute", lambda: time.monotonic() - death.at >= seconds, timeout_s=seconds + 60)
    finally:
        signal_all([feeder], signal.SIGCONT)
    wait_for("the woken worker's calls", lambda: not stage.flying(feeder), timeout_s=60)
    case = _after(run, fault, [death])
    return case.also(bounded(fault, "woken workers that ended", int(feeder.poll() is not None), "workers", 0))


def peers(stage: Stage) -> Case:
    """The only worker is killed with 64 calls in flight, and another one is started at once."""
    fault = f"kill -9 with {_PEERS_FLYING} calls in flight"
    run = stage.begin("peers", 600)
    wait_for("64 calls in flight", lambda: stage.simulator.stats()["in_flight"] >= _PEERS_FLYING, timeout_s=60)
    death = stage.kill(stage.arena.living()[0])
    stage.staff()
    resumed_s = run.more(_PEERS_FLYING)
    case = _after(run, fault, [death])
    return case.also(bounded(fault, "the next 64 jobs ended after", round(resumed_s, 2), "s", RESUMED_GOAL_S))


def poison(stage: Stage) -> Case:
    """A job that kills every worker that renders it, among 160: it fails as poison, the others finish."""
    fault = "poison job"
    run = stage.begin("poison", 160)
    alive = stage.arena.living()
    flying: list[int] = []  # of each worker that has died

    def over() -> bool:
        for worker in [one for one in alive if one.poll() is not None]:
            flying.append(stage.flying(worker))
            alive.remove(worker)
        stage.staff()
        alive[:] = stage.arena.living()
        return run.ended >= run.jobs

    wait_for("the end of poison", over, timeout_s=180)
    deaths = len(flying)
    case = run.end(fault, failed=1, bound=sum(flying))
    with transaction(stage.engine) as cursor:
        cursor.execute(_FAILED, (run.name,))
        wrong = cursor.fetchall() != [("poison: question 7?", "Poison")]
    return case.also(
        bounded(fault, "jobs failed other than that one, as Poison", int(wrong), "jobs", 0),
        bounded(fault, "workers that it killed", deaths, "workers", _POISON_DEATHS),
    )


def _busy(stage: Stage) -> list["subprocess.Popen[bytes]"]:
    """Workers with calls in flight, as soon as there is one."""

    def busy() -> list["subprocess.Popen[bytes]"]:
        owners = [intent.ask.owner for intent in stage.intents()]
        return [worker for worker in stage.arena.living() if any(f":{worker.pid}:" in owner for owner in owners)]

    found: list[subprocess.Popen[bytes]] = wait_for("calls in flight", busy, timeout_s=30)
    return found


def _after(run: Run, fault: str, deaths: Sequence[Death]) -> Case:
    case = run.end(fault, bound=sum(death.in_flight for death in deaths))
    return case.resumed(run.taken_over_s(deaths))


def _leaders(stage: Stage) -> int:
    with transaction(stage.engine) as cursor:
        cursor.execute(_LEADERS)
        return int(cursor.fetchall()[0][0])
