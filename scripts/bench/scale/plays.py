"""The plays in their order, on one cluster; then the table, and beside it what a reader must know."""

import os
import platform
import sys
import time
from datetime import UTC, datetime

from scripts.bench import report
from scripts.bench.arena import Stalled, arena
from scripts.bench.scale import growth
from scripts.bench.scale.drain import drain
from scripts.bench.throughput.ground import Ground, NotMeasured, busy

_PLAYS = (growth.unique, growth.cached, growth.full_tables, growth.forecasts)
_WORKERS = 2


def run() -> int:
    """Measures, prints and stores ``reports/bench-scale.json``; 1 when a row does not hold."""
    began = time.monotonic()
    with arena() as stage:
        ground = Ground(arena=stage, simulator=stage.simulator(latency="0", answers="fast", tokens="approx"))
        if (why := busy()) is not None:
            ground.note(why)
        for _ in range(_WORKERS):
            stage.worker(slots=8)
        drain(stage, "warm", 2_000)
        for play in _PLAYS:
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {play.__name__}\n")
            try:
                play(ground)
            except (NotMeasured, Stalled) as exc:
                ground.note(f"{play.__name__}: not measured: {exc}")
    ground.note("10^6 jobs with a call each were not run: 10^6 answered ones were, and 10^4 calls beside 10^7 jobs")
    code = report.write("bench-scale", ground.rows)
    machine = f"{os.cpu_count()} cores {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, make bench-scale, {machine}, {time.monotonic() - began:.0f} s")
    for note in ground.notes:
        print(f"- {note}")
    return code
