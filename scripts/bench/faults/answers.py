"""What a provider can do to its callers: refuse, break, hang, lie."""

import functools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from core.model import SweepState
from core.settings import child_environment
from db import control
from scripts.bench.arena import wait_for
from scripts.bench.faults.judge import Case, bounded, measured
from scripts.bench.faults.stage import Stage

_PARKED = 3
_MOST_MB = 64  # by which a worker may grow: eight answers of the size cap at once
_OPEN_S = 60.0
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}

# Shares small enough that three failures in a row, which open the breaker for a minute, stay rare; faults that take a
# timeout to be noticed end together, so that these are counted.
_PASSING: Mapping[str, str] = {
    "500": "500:0.04",
    "hang": "hang:2",
    "slow-loris": "slow-loris:2",
    "reset": "reset:0.04",
    "truncated": "truncated:0.04",
    "malformed": "malformed:0.04",
    "HTML": "html:0.04",
    "null": "null:0.04",
    "empty choices": "empty-choices:0.04",
}


def passing(name: str) -> Callable[[Stage], Case]:
    """A fault that the next try may mend: every job is done in the end."""
    return functools.partial(_passing, name=name)


def _passing(stage: Stage, *, name: str) -> Case:
    run = stage.begin(f"answer-{name.replace(' ', '-').lower()}", 300, _PASSING[name])
    case = run.end(name)
    met = sum(case.stats["faults"].values())
    return case.also(bounded(name, "fewer than one call met the fault", int(met == 0), "runs", 0))


PASSING = tuple(_PASSING)


def wrong_schema(stage: Stage) -> Case:
    """An answer of another shape: one repair turn, which is a call of its own."""
    run = stage.begin("wrong-schema", 300, "wrong-schema:0.2", options={"schema": _SCHEMA})
    case = run.end("wrong schema", failed=run.jobs)
    failed = stage.arena.status(run.name).failed
    return case.also(bounded(case.fault, "jobs whose repair turn failed as well", failed, "jobs", 30))


def content_filter(stage: Stage) -> Case:
    """The job fails at once with the provider's message, the others go on."""
    run = stage.begin("content-filter", 300, "content-filter:0.1")
    case = run.end("content filter", failed=run.jobs)
    refused = int(case.stats["faults"].get("content-filter", 0))
    wrong = abs(stage.arena.status(run.name).failed - refused)
    return case.also(bounded(case.fault, "failed jobs that were not filtered, or the reverse", wrong, "jobs", 0))


def huge(stage: Stage) -> Case:
    """200 MB in place of an answer: the worker reads no further than its cap."""
    fault = "200 MB body"
    stage.staff()
    run = stage.begin("huge", 300, "huge:2")
    run.reach(0.1)
    before = [_peak_mb(worker.pid) for worker in stage.arena.living()]
    stage.simulator.tell("faults", {"fail": ["huge:2"]})
    case = run.end(fault)
    grown = max(_peak_mb(w.pid) - b for w, b in zip(stage.arena.living(), before, strict=True))
    return case.also(bounded(fault, "a worker's memory grew by", round(grown, 1), "MB", _MOST_MB))


def throttled(stage: Stage) -> Case:
    """Half of the calls get a 429 with Retry-After, for four seconds: all wait, none is given up."""
    run = stage.begin("throttled", 400, "429:0.5@0-4")
    return run.end("429 storm")


def no_money(stage: Stage) -> Case:
    """429 insufficient_quota: the sweep is parked, `sweep watch` leaves with 3, and `resume` goes on."""
    fault = "429 quota"
    run = stage.begin("no-money", 300)
    run.reach(0.2)
    stage.simulator.tell("faults", {"fail": ["429-quota"]})
    sweep = Path(sys.executable).with_name("sweep")
    watched = subprocess.run(  # noqa: S603 - our own command
        [sweep, "watch", run.name],
        env=child_environment(stage.arena.environment),
        cwd=stage.arena.directory,
        capture_output=True,
        timeout=60,
        check=False,
    )
    refused = stage.requests()
    parked = stage.arena.status(run.name)
    until = time.monotonic() + 2
    wait_for("nothing to happen", lambda: time.monotonic() > until, timeout_s=5)
    late = stage.requests() - refused
    stage.simulator.tell("faults", {"fail": []})
    control.resume(stage.engine, run.name)
    return run.end(fault).also(
        bounded(fault, "exit codes other than 3", int(watched.returncode != _PARKED), "commands", 0),
        bounded(fault, "states other than paused", int(parked.state is not SweepState.PAUSED), "sweeps", 0),
        bounded(fault, "calls sent while parked", late, "calls", 0),
    )


def flapping(stage: Stage) -> Case:
    """Down for two minutes and more: three failures in a row and what was in flight, then one probe a minute.

    After the switch good answers are still on their way, and each of them begins the row of three anew. So the
    simulator tells what had arrived when it gave its third failure in a row: what comes after that can only be a call
    that had its ticket already, and there are no more tickets than slots.
    """
    fault = "flapping provider"
    run = stage.begin("flapping", 400)
    run.reach(0.2)
    before, began = stage.requests(), time.monotonic()
    stage.simulator.tell("faults", {"fail": ["503"]})
    half = _OPEN_S / 2
    wait_for("half a minute", lambda: time.monotonic() > began + half, timeout_s=_OPEN_S)
    opened, third = stage.requests(), stage.simulator.stats()["third_failure"]
    wait_for("two probes", lambda: time.monotonic() > began + 2 * _OPEN_S + half, timeout_s=3 * _OPEN_S)
    probes = stage.requests() - opened
    stage.simulator.tell("faults", {"fail": []})
    case = run.end(fault)
    late = opened - (third or {"requests": before})["requests"]
    return case.also(
        bounded(fault, "calls after the third failure in a row was answered", late, "calls", stage.most_in_flight()),
        measured(fault, "calls since the switch, until the breaker was open", opened - before, "calls"),
        bounded(fault, "probes in the next two minutes", probes, "calls", 2),
    )


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
