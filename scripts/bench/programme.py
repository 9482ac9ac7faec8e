"""Plays in their order, on one cluster; then the table, and beside it what a reader must know."""

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from scripts.bench import report
from scripts.bench.arena import Stalled, arena
from scripts.bench.ground import Ground, NotMeasured, busy

Play = Callable[[Ground], object]


def perform(target: str, plays: Sequence[Play], prepare: Play | None = None) -> int:
    """Measures, prints and stores ``reports/<target>.json``; 1 when a row does not hold. ``prepare`` comes first."""
    began = time.monotonic()
    with arena() as stage:
        ground = Ground(arena=stage, simulator=stage.simulator(latency="0", answers="fast", tokens="approx"))
        if (why := busy()) is not None:
            ground.note(why)
        if prepare is not None:
            prepare(ground)
        for play in plays:
            name = f"{play.__module__.rpartition('.')[2]}.{play.__name__}"
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {name}\n")
            try:
                play(ground)
            except (NotMeasured, Stalled) as exc:
                ground.note(f"{play.__name__}: not measured: {exc}")
    code = report.write(target, ground.rows)
    machine = f"{os.cpu_count()} cores {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, make {target}, {machine}, {time.monotonic() - began:.0f} s")
    for note in ground.notes:
        print(f"- {note}")
    return code
