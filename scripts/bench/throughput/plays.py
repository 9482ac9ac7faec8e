"""The plays in their order, on one cluster; then the table, and beside it what a reader must know."""

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from scripts.bench import report
from scripts.bench.arena import Stalled, arena
from scripts.bench.scale import growth
from scripts.bench.throughput import chat, edges, forecasts, others, tail, vectors
from scripts.bench.throughput.ground import Ground, NotMeasured, busy

_PLAYS: Sequence[Callable[[Ground], object]] = (
    chat.unique,
    chat.cached,
    chat.drained,
    others.litellm,
    others.cookbook,
    chat.in_flight,
    tail.stragglers,
    vectors.embeddings,
    forecasts.forecasts,
    edges.idle,
    edges.submit,
    edges.command,
    growth.asked,
)


def run() -> int:
    """Measures, prints and stores ``reports/bench.json``; 1 when a row does not hold."""
    began = time.monotonic()
    with arena() as stage:
        ground = Ground(arena=stage, simulator=stage.simulator(latency="0", answers="fast", tokens="approx"))
        if (why := busy()) is not None:
            ground.note(why)
        for play in _PLAYS:
            sys.stderr.write(
                f"{time.monotonic() - began:5.0f} s  {play.__module__.rpartition('.')[2]}.{play.__name__}\n"
            )
            try:
                play(ground)
            except (NotMeasured, Stalled) as exc:
                ground.note(f"{play.__name__}: not measured: {exc}")
    code = report.write("bench", ground.rows)
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, make bench, {_machine()}, {time.monotonic() - began:.0f} s")
    for note in ground.notes:
        print(f"- {note}")
    return code


def _machine() -> str:
    return f"{os.cpu_count()} cores {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
