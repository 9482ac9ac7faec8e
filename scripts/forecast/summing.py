"""What the runs come to: the answer's figures, what bounds the sweep, and what a reader must know beside them."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.model import Modality
from core.sweep import SweepSpec
from scripts.forecast.estimate import Estimate, rate, span
from scripts.forecast.stage import Run
from scripts.forecast.values import Forecast, Situation, Span, Told

_BINDS = 0.7
"""From this share on, what is used is what makes a sweep take so long."""

_ALMOST_FULL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All that an answer is made from. ``past``: why the database knows nothing."""

    spec: SweepSpec
    situation: Situation
    estimate: Estimate
    told: tuple[Told, ...]
    past: str = ""

    def mean(self, figure: Callable[[Run], float]) -> float:
        """Of the whole sweep."""
        return self.estimate.scale * statistics.fmean(map(figure, self.estimate.runs))


def summed(totals: Totals) -> Forecast:
    """The answer."""
    found = totals.estimate
    jobs = found.inputs * found.variants
    duration, cost = span(found.durations()), _cost(totals)
    use = dict(_use(totals))
    duration, cost, unfinished = _within_budget(totals, duration, cost)
    return Forecast(
        name=totals.spec.name,
        jobs=jobs,
        simulated_jobs=found.simulated * found.variants,
        runs=len(found.runs),
        duration_s=duration,
        cost_usd=cost,
        calls=totals.mean(lambda run: run.count.calls),
        failed_calls=totals.mean(lambda run: run.count.failed_calls),
        cached_jobs=totals.mean(lambda run: run.count.cached),
        failed_jobs=totals.mean(lambda run: run.count.failed),
        unfinished_jobs=unfinished,
        prompt_tokens=totals.mean(lambda run: run.count.prompt),
        completion_tokens=totals.mean(lambda run: run.count.completion),
        rate_per_s=statistics.fmean(map(rate, found.runs)),
        bound_by=_bound(use),
        use=use,
        told=totals.told,
        notes=tuple(_notes(totals, use, unfinished)),
    )


def _cost(totals: Totals) -> Span | None:
    costs = [run.count.cost_usd for run in totals.estimate.runs]
    known = [cost * totals.estimate.scale for cost in costs if cost is not None]
    return span(known) if len(known) == len(costs) else None


def _within_budget(totals: Totals, duration: Span, cost: Span | None) -> tuple[Span, Span | None, float]:
    """Where only a part was simulated, a budget that does not last ends the sweep in proportion."""
    found, budget = totals.estimate, totals.spec.budget_usd
    jobs = found.inputs * found.variants
    unfinished = jobs - totals.mean(lambda run: run.count.ended)
    if found.scale == 1 or budget is None or cost is None or cost.value <= budget:
        return duration, cost, max(0.0, unfinished)
    part = budget / cost.value
    shorter = Span(value=duration.value * part, low=duration.low * part, high=duration.high)
    return shorter, Span(value=budget, low=min(budget, cost.low), high=budget), jobs * (1 - part)


def _use(totals: Totals) -> Iterator[tuple[str, float]]:
    """Shares of what there is, over a run's whole time."""
    situation, runs = totals.situation, totals.estimate.runs
    seconds = statistics.fmean(run.duration_s for run in runs)
    if not seconds:
        return
    providers = {target.provider for target in totals.spec.targets}
    limits = [situation.limits[name] for name in sorted(providers)]
    calls = statistics.fmean(run.count.calls for run in runs)
    tokens = statistics.fmean(run.count.prompt + run.count.completion for run in runs)
    if all(limit.rpm for limit in limits):
        yield "requests a minute", 60 * calls / seconds / sum(limit.rpm or 0 for limit in limits)
    if all(limit.tpm for limit in limits):
        yield "tokens a minute", 60 * tokens / seconds / sum(limit.tpm or 0 for limit in limits)
    out = statistics.fmean(run.in_flight_s for run in runs) / seconds
    workers = situation.workers
    yield "calls in flight", out / sum(situation.concurrency[name] for worker in workers for name in worker.providers)
    yield "chunks in work", out / _places(totals)
    yield "workers' cores", statistics.fmean(run.busy_s for run in runs) / seconds / min(len(workers), situation.cores)


def _places(totals: Totals) -> int:
    """Calls that all chunks in work can have out."""
    modality = Modality.EMBEDDING if totals.spec.kind == "embedding" else Modality.CHAT
    each = 1 if modality is Modality.EMBEDDING else totals.spec.chunk_size
    return each * sum(worker.slots for worker in totals.situation.workers)


def _bound(use: dict[str, float]) -> str:
    most = max(use, key=lambda name: use[name], default="")
    return most if most and use[most] >= _BINDS else "latency"


def _notes(totals: Totals, use: dict[str, float], unfinished: float) -> Iterator[str]:
    found = totals.estimate
    if totals.past:
        yield f"nothing is known of earlier calls, nor of answers that are there already: {totals.past}"
    yield from _about_runs(found)
    if use.get("workers' cores", 0) >= _BINDS:
        yield "the workers' processes are busy: more of them, on machines with free cores, would make it faster"
    elif max(use.get("calls in flight", 0), use.get("chunks in work", 0)) >= _ALMOST_FULL:
        yield "every place for a call is taken: more workers, slots or MAX_CONCURRENT_REQUESTS would make it faster"
    stopped = next((run.stopped for run in found.runs if run.stopped), "")
    if stopped or unfinished >= 1:
        yield f"the sweep would stop with {unfinished:,.0f} jobs left: {stopped or 'the budget is used up'}"
    if any(not (limit.rpm or limit.tpm) for limit in totals.situation.limits.values()):
        yield "a provider without a limit in the settings is taken to have none; --assume rpm=N or tpm=N tells one"


def _about_runs(found: Estimate) -> Iterator[str]:
    if found.scale > 1:
        yield (
            f"simulated: {found.simulated:,} of {found.inputs:,} inputs, spread evenly over them, from the sweep's "
            "beginning to its end; the middle is extrapolated at the steady rate, counts and cost in proportion"
        )
    if not found.steady:
        yield "the rate was not steady in the simulated part: the time is less certain than the interval says"
    if broken := sum(run.broken for run in found.runs):
        yield (
            f"in {broken} of {len(found.runs)} runs three calls in a row failed: the breaker opens, and nothing is "
            "sent for a minute, each time"
        )
