"""From runs to an answer. Sweeps that are too long for a run are simulated in part.

The part has the whole sweep's beginning and its end: its ramp, its steady state and its tail are those of the whole,
and only the middle is shorter. So what is left out takes as long as it does at the rate of the steady state.
"""

import bisect
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.forecast.stage import Run, Work, play
from scripts.forecast.values import Situation, Span

WHOLE = 10_000
"""Jobs up to which nothing is extrapolated."""

_JOBS = 30_000  # simulated in all: some ten seconds
_LEAST = 4_000  # a part
_WAVES = 8  # of chunks in work, that a part has at least
_RUNS = (5, 20)
_FIRST, _LAST = 0.15, 0.85  # of a run's jobs, between which its rate is taken
_STEADY = 0.03
_T90 = {5: 2.132, 6: 2.015, 7: 1.943, 8: 1.895, 9: 1.86, 10: 1.833, 12: 1.796, 15: 1.761, 20: 1.729}
# Student's t, one-sided 95 %, by the number of runs.

MakeWork = Callable[[int], Work]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Runs of ``simulated`` of the ``inputs``, each with ``variants`` jobs.

    ``steady``: the rate did not change while it was taken.
    """

    inputs: int
    simulated: int
    variants: int
    runs: tuple[Run, ...]
    steady: bool = True

    @property
    def scale(self) -> float:
        """What the counts of a run are to be multiplied with."""
        return self.inputs / self.simulated

    def durations(self) -> list[float]:
        """Seconds that each run would have taken with all jobs."""
        left_out = (self.inputs - self.simulated) * self.variants
        return [run.duration_s + (left_out / rate(run) if left_out else 0.0) for run in self.runs]


def estimate(
    inputs: int, work: MakeWork, situation: Situation, *, variants: int, whole: int = WHOLE, runs: int | None = None
) -> Estimate:
    """Simulates a sweep several times, or ``runs`` times; ``work`` makes one of so many of its inputs."""
    most = max(1, whole // variants)
    if inputs <= most:
        played = tuple(play(work(inputs), situation, seed=seed) for seed in range(runs or _enough(inputs * variants)))
        return Estimate(inputs=inputs, simulated=inputs, variants=variants, runs=played)
    chunk = work(1).plan.chunk_size
    in_work = sum(worker.slots for worker in situation.workers) * chunk
    part = min(most, max(_LEAST, _WAVES * in_work) // variants)
    while True:
        task = work(part)
        trial = play(task, situation, seed=0, even=True)
        steady = _is_steady(trial)
        if steady or part == most:
            break
        part = min(most, 2 * part)
    seeds = range(1, runs or _enough(part * variants))
    played = (trial, *(play(task, situation, seed=seed, even=True) for seed in seeds))
    return Estimate(inputs=inputs, simulated=part, variants=variants, runs=played, steady=steady)


def _enough(jobs: int) -> int:
    """Runs of so many jobs each."""
    return min(max(_JOBS // jobs, _RUNS[0]), _RUNS[1])


def rate(run: Run, first: float = _FIRST, last: float = _LAST) -> float:
    """Jobs a second between two shares of a run's jobs."""
    ended = [jobs for _, jobs in run.curve]
    a, b = (min(bisect.bisect_left(ended, share * ended[-1]), len(ended) - 1) for share in (first, last))
    (began, before), (stopped, after) = run.curve[a], run.curve[b]
    return (after - before) / (stopped - began) if stopped > began else after / max(run.duration_s, 1e-9)


def _is_steady(run: Run) -> bool:
    middle = (_FIRST + _LAST) / 2
    return math.isclose(rate(run, _FIRST, middle), rate(run, middle, _LAST), rel_tol=_STEADY)


def span(values: Sequence[float]) -> Span:
    """The median, and where 90 % of further runs are expected (Student's prediction interval; at 20 runs, counted).

    Each side has a deviation of its own: a breaker that opens in some runs makes them longer and no run shorter.
    """
    value, runs = statistics.median(values), len(values)
    if runs >= _RUNS[1]:
        shares = statistics.quantiles(values, n=20, method="inclusive")
        return Span(value=value, low=shares[0], high=shares[-1])
    t = _T90[max(known for known in _T90 if known <= runs)] * math.sqrt(1 + 1 / runs)
    below, above = (sum(max(0.0, sign * (each - value)) ** 2 for each in values) for sign in (-1, 1))
    low, high = (t * math.sqrt(2 * squares / (runs - 1)) for squares in (below, above))
    return Span(value=value, low=max(0.0, value - low), high=value + high)
