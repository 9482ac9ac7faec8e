"""What outcomes add to a sweep's counts. Pure, shared by the ledger and its in-memory twin."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from core.model import CallRecord, CallStatus, JobResult, JobState, Outcome, Usage
from core.values import value
from db.rows import bounded, nano


@value
class TallyKey:
    """One row of ``sweep_tallies``: each owner has its own, so that no two wait for each other."""

    sweep_id: int
    owner: str
    provider: str
    model: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts to add. Mutable: it is summed up while a transaction runs, and then written once."""

    done: int = 0
    cached: int = 0  # part of done
    fallback: int = 0
    failed: int = 0
    cancelled: int = 0
    calls: int = 0
    calls_failed: int = 0
    calls_unknown: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    cost_max_nano: int = 0
    cost_unknown: int = 0  # calls whose price nobody knows, not even as an upper bound

    def add(self, other: "Tally | None") -> None:
        """Adds all counts of another one."""
        if other is not None:
            for name in TALLY_COLUMNS:
                setattr(self, name, getattr(self, name) + getattr(other, name))

    def add_call(self, call: CallRecord) -> None:
        """Counts a call that has just become a row."""
        self.calls += 1
        self.calls_failed += call.status is CallStatus.FAILED
        self.calls_unknown += call.status is CallStatus.UNKNOWN
        usage = bounded(call.usage or Usage())
        self.prompt_tokens += usage.prompt
        self.completion_tokens += usage.completion
        self.cached_tokens += usage.cached
        self.reasoning_tokens += usage.reasoning
        known = nano(call.cost_usd)
        bound = known if known is not None else nano(call.cost_max_usd)
        self.cost_nano += known or 0
        self.cost_max_nano += bound or 0
        self.cost_unknown += bound is None

    def add_job(self, job: JobResult) -> None:
        """Counts a job that has just reached its final state."""
        if job.state is JobState.DONE:
            self.done += 1
            self.cached += job.cached
        self.fallback += job.state is JobState.FALLBACK
        self.failed += job.state is JobState.FAILED
        self.cancelled += job.state is JobState.CANCELLED

    @property
    def progress(self) -> int:
        """Jobs that somebody has worked off, for the rate; a retry that reopens jobs is no progress."""
        return max(0, self.done + self.fallback + self.failed)


TALLY_COLUMNS = tuple(column.name for column in fields(Tally))


@value
class Share:
    """A job's part of what its outcome's calls cost. ``nano`` None: unknown price."""

    usage: Usage = field(default_factory=Usage)
    nano: int | None = 0


_NOTHING = Share()


def shares(outcome: Outcome) -> Iterable[tuple[JobResult, Share]]:
    """Splits the calls of an outcome among its jobs: whole numbers, and their sum is the calls' sum."""
    paying = [job for job in outcome.jobs if not job.cached]
    calls = (*outcome.calls, *outcome.earlier)
    if not calls or not paying:
        return [(job, _NOTHING) for job in outcome.jobs]
    parts = iter(_split(calls, len(paying)))
    return [(job, _NOTHING if job.cached else next(parts)) for job in outcome.jobs]


def _split(calls: Sequence[CallRecord], count: int) -> list[Share]:
    if count == len(calls) == 1:
        return [Share(usage=bounded(calls[0].usage or Usage()), nano=nano(calls[0].cost_usd))]
    usages = [bounded(call.usage or Usage()) for call in calls]
    costs = [nano(call.cost_usd) for call in calls]
    known = [cost for cost in costs if cost is not None]
    price = sum(known) if len(known) == len(costs) else None
    columns = [
        _portions(sum(getattr(usage, name) for usage in usages), count)
        for name in ("prompt", "completion", "cached", "reasoning")
    ]
    prices: Sequence[int | None] = [None] * count if price is None else _portions(price, count)
    return [
        Share(usage=Usage(prompt=p, completion=c, cached=h, reasoning=r), nano=n)
        for p, c, h, r, n in zip(*columns, prices, strict=True)
    ]


def _portions(total: int, count: int) -> list[int]:
    whole, rest = divmod(total, count)
    return [whole + (index < rest) for index in range(count)]
