"""`make bench-scale`: what is played, on how many workers."""

from scripts.bench.ground import Ground
from scripts.bench.programme import perform
from scripts.bench.scale import growth
from scripts.bench.scale.drain import drain

_PLAYS = (growth.unique, growth.cached, growth.full_tables, growth.forecasts)
_WORKERS = 2


def run() -> int:
    """Measures, prints and stores ``reports/bench-scale.json``; 1 when a row does not hold."""
    return perform("bench-scale", _PLAYS, _prepare)


def _prepare(ground: Ground) -> None:
    for _ in range(_WORKERS):
        ground.arena.worker(slots=8)
    drain(ground.arena, "warm", 2_000)
