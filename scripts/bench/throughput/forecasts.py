"""`sweep submit --simulate` against what then happens: the same jobs, forecast from history, then run."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from core.settings import child_environment
from core.sweep import Target
from scripts.bench.arena import Arena, Stalled
from scripts.bench.ground import Ground, NotMeasured
from scripts.bench.report import Row

_GOAL = 0.05
_CHUNK = 16
_LONG_S = 180.0
_SLOTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A provider and a sweep, long enough that the luck of its last calls and of its draws is well below the goal.

    Its own model keeps its history apart from the others', but for the first one's: in `make bench` that has been asked
    by other plays, which were answered otherwise.
    """

    name: str
    model: str
    jobs: int
    history: int
    simulator: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)


_LATENCY = "lognormal:0.5,0.5"
_CASES = (
    _Case(
        name="3,000 requests a minute",
        model="gpt-4o-mini",
        jobs=2_000,
        history=400,
        simulator={"latency": _LATENCY, "rpm": 3000},
        settings={"OPENAI_RATE_LIMIT_RPM": "3000"},
    ),
    _Case(
        name="no limit, 64 calls in flight",
        model="gpt-4o",
        jobs=4_000,  # a mean of so many draws is luck by 0.8 %, of the history's by 1.1 %
        history=2_000,
        simulator={"latency": _LATENCY},
        settings={"OPENAI_MAX_CONCURRENT_REQUESTS": "64"},
    ),
    _Case(
        # With one in twenty, three in a row are likely enough that one such sweep in five waits for the breaker.
        name="one call in fifty answered with 503",
        model="gpt-4.1-mini",
        jobs=2_000,
        history=600,
        simulator={"latency": _LATENCY, "rpm": 3000, "fail": "503:0.02"},
        settings={"OPENAI_RATE_LIMIT_RPM": "3000"},
    ),
    _Case(
        name="200,000 tokens a minute",
        model="gpt-4.1",
        jobs=1_300,
        history=400,
        simulator={"latency": _LATENCY, "tpm": 200_000},
        settings={"OPENAI_RATE_LIMIT_TPM": "200000"},
    ),
    _Case(
        name="2,400 requests a minute, told by headers only",
        model="gpt-4.1-nano",
        jobs=1_600,
        history=400,
        simulator={"latency": _LATENCY, "rpm": 2400},
    ),
)


def forecasts(ground: Ground) -> None:
    """Each case: some calls for a history, a forecast, the sweep itself."""
    for case in _CASES:
        try:
            _compare(ground, case)
        except (NotMeasured, Stalled) as exc:
            ground.note(f"forecast, {case.name}: not measured: {exc}")


def _compare(ground: Ground, case: _Case) -> None:
    stage = ground.arena
    stage.stop_workers()
    stage.workers.clear()
    with redis.Redis.from_url(stage.environment["REDIS_URL"]) as gate:
        gate.flushdb()  # what it has learned of the last case's limits
    before = dict(stage.environment)
    stage.simulator(answers="fast", **case.simulator)
    stage.environment = {**stage.environment, **case.settings}
    try:
        stage.worker(slots=_SLOTS)
        _seconds(stage, case, f"history-{case.model}", case.history)
        found = _foretold(stage, case)
        measured = _seconds(stage, case, f"measured-{case.model}", case.jobs)
        failed = stage.status(f"measured-{case.model}").calls_failed
    finally:
        stage.environment = before
    foretold = found["duration_s"]
    ground.note(f"forecast, {case.name}: {found['failed_calls']:.0f} failed calls foretold, {failed} measured")
    off = abs(foretold["value"] / measured - 1)
    ground.rows += [
        Row(row=f"forecast, {case.name}: measured", value=measured, unit="s", goal="", holds=None),
        Row(
            row=f"forecast, {case.name}: foretold, bound by {found['bound_by']}",
            value=foretold["value"],
            unit=f"s ({foretold['low']:.1f} to {foretold['high']:.1f})",
            goal="",
            holds=None,
        ),
        Row(row=f"forecast, {case.name}: off by", value=100 * off, unit="%", goal="<= 5", holds=off <= _GOAL),
    ]


def _foretold(stage: Arena, case: _Case) -> Any:
    """What the command says, with what it finds: the history, the settings, the worker that runs."""
    source = stage.directory / f"foretold-{case.model}.jsonl"
    name = f"measured-{case.model}"  # the very prompts that are then measured: tokens are time
    lines = (json.dumps({"id": f"{i:07}", "prompt": f"{name}: question {i}?"}) for i in range(case.jobs))
    source.write_text("\n".join(lines))
    words = ["submit", "prompt", str(source), "-n", "foretold", "-m", case.model, "--on-open", "wait"]
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).with_name("sweep"), *words, "--chunk-size", str(_CHUNK), "--simulate", "--json"],
        cwd=stage.directory,  # nobody's .env
        env=child_environment(stage.environment),
        capture_output=True,
        text=True,
        timeout=_LONG_S,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(done.stderr.strip())
    return json.loads(done.stdout)


def _seconds(stage: Arena, case: _Case, name: str, jobs: int) -> float:
    """From the submission's end to the last row."""
    stage.submit(name, jobs, chunk_size=_CHUNK, targets=(Target(provider="openai", model=case.model),))
    began = time.perf_counter()
    stage.answered(name, timeout_s=_LONG_S)
    return time.perf_counter() - began
