"""``python -m scripts.bench forecast``: of `make bench` only the rows of forecasts; ``reports/bench-forecast.json``."""

from scripts.bench import report
from scripts.bench.arena import arena
from scripts.bench.ground import Ground
from scripts.bench.throughput.forecasts import forecasts


def run() -> int:
    """1 when a row does not hold."""
    with arena() as stage:
        ground = Ground(arena=stage, simulator=stage.simulator(answers="fast"))
        forecasts(ground)
    code = report.write("bench-forecast", ground.rows)
    for note in ground.notes:
        print(f"- {note}")
    return code
