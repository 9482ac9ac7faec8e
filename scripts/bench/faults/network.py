"""What a network does between our processes and the servers: it is slow, loses packets, and forgets connections."""

import subprocess
import time

from scripts.bench.arena import wait_for
from scripts.bench.faults.judge import RESUMED_GOAL_S, Case, bounded
from scripts.bench.faults.proxy import proxied
from scripts.bench.faults.stage import Run, Stage

_HOLE_S = 20.0  # longer than a lease
_NOTICED_S = 150.0  # 40 s for the ledger, 25 s and 30 s for the consumer, 30 s for the feeder: their timeouts in a row
_GIVEN_UP_S = "5"  # an answer that a silent connection never brings
_SLOW_S = 0.15  # a packet, each way


def provider_link(stage: Stage) -> Case:
    """Slow, then answers are reset in their middle, then connections fall silent: each call is tried again.

    An answer that was cut is paid for, and nobody has it: that call is paid twice. Few are hit at a time: three
    in a row open the breaker for a minute, which is right, and another row's business.
    """
    fault = "provider's link slow, reset, half-open"
    with proxied(stage.simulator.url) as (link, address):
        stage.arena.kill_workers()
        stage.hire(stage.staff_size, OPENAI_BASE_URL=f"{address}/v1", OPENAI_REQUEST_TIMEOUT=_GIVEN_UP_S)
        run = stage.begin("provider-link", 400)
        run.reach(0.1)
        link.delay_s = _SLOW_S
        run.reach(0.3)
        link.delay_s = 0.0
        link.reset(8, every=6)
        run.reach(0.6)
        link.deafen(2)
        resumed_s = run.more(stage.most_in_flight())
        case = run.end(fault, bound=link.cut).resumed(resumed_s)
        stage.arena.kill_workers()
    return case.also(bounded(fault, "runs in which nothing was cut", int(not link.cut), "runs", 0))


def postgres_link(stage: Stage) -> Case:
    """One worker's packets to PostgreSQL are lost for 20 s: others take its chunks, it makes no further call."""
    return _cut_off(stage, "PostgreSQL", "DATABASE_URL")


def redis_link(stage: Stage) -> Case:
    """One worker's packets to the broker and the gate are lost for 20 s."""
    return _cut_off(stage, "broker and gate", "REDIS_URL")


def all_links(stage: Stage) -> Case:
    """All workers' connections to PostgreSQL and to the broker fall silent, without a word: new ones work."""
    fault = "half-open connections to PostgreSQL and the broker"
    stage.arena.kill_workers()
    urls = stage.arena.environment
    with proxied(urls["DATABASE_URL"]) as (database, one), proxied(urls["REDIS_URL"]) as (broker, other):
        stage.hire(stage.staff_size, DATABASE_URL=one, REDIS_URL=other)
        run = stage.begin("all-links", 500)
        run.reach(0.3)
        for link in (database, broker):
            link.deafen()
        resumed_s = run.more(stage.most_in_flight(), timeout_s=200)
        case = run.end(fault)
        stage.arena.kill_workers()
    return case.also(bounded(fault, "progress after", round(resumed_s, 2), "s", _NOTICED_S))


def _cut_off(stage: Stage, server: str, name: str) -> Case:
    fault = f"a worker's link to {server} lost for {_HOLE_S:g} s"
    stage.arena.kill_workers()
    with proxied(stage.arena.environment[name]) as (link, address):
        (alone,) = stage.hire(1, **{name: address})
        run = stage.begin("cut-off-" + name.partition("_")[0].lower(), 700)
        run.reach(0.1)
        wait_for("its calls", lambda: stage.flying(alone), timeout_s=60)
        link.hole(on=True)
        began = time.monotonic()
        try:
            others_s = run.more(stage.most_in_flight())
            wait_for("the hole's time", lambda: time.monotonic() > began + _HOLE_S, timeout_s=2 * _HOLE_S)
        finally:
            link.hole(on=False)
        case = run.end(fault).resumed(others_s)
        wait_for("the lost worker's calls", lambda: not stage.flying(alone), timeout_s=60)
        ended = int(alone.poll() is not None)
        again_s = _works_again(stage, alone)
        alone.kill()
        alone.wait()
    return case.also(
        bounded(fault, "workers that ended", ended, "workers", 0),
        bounded(fault, "the cut-off worker's next call after", round(again_s, 2), "s", RESUMED_GOAL_S),
    )


def _works_again(stage: Stage, worker: "subprocess.Popen[bytes]") -> float:
    """Whether it still takes its share: seconds until it makes a call of another sweep."""
    began = time.monotonic()
    run: Run = stage.begin(f"again-{worker.pid}", 300)
    wait_for("a call of the lost worker", lambda: stage.flying(worker), timeout_s=90)
    seconds = time.monotonic() - began
    run.end("its return")
    return seconds
