"""What a forecast is made of, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model import JsonObject
from core.ports import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A figure that the forecast rests on, and where it is from."""

    name: str
    value: float | None
    unit: str
    source: str

    def as_json(self) -> JsonObject:
        return {"name": self.name, "value": self.value, "unit": self.unit, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answered call, as it was or might be. ``cached`` is a share of the prompt's tokens."""

    latency_s: float
    completion: int
    cached: float = 0.0
    rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed call. ``status`` 0: there was no answer."""

    latency_s: float
    status: int = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a provider answers for one model: samples to draw from.

    ``measured``: the replies are calls that were, not what somebody assumes. ``tries``: how many calls the error rate
    rests on; 0: it is told. ``prompt_ratio``: its tokens for one of ours.
    """

    replies: tuple[Reply, ...]
    failures: tuple[Failure, ...] = ()
    error_rate: float = 0.0
    measured: bool = False
    tries: int = 0
    prompt_ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machinery:
    """What our own parts take, in seconds. ``cpu_s``: of a worker's one busy core, a call (an embedding: a text)."""

    cpu_s: float
    cached_cpu_s: float = 0.0001  # the same for a job that an earlier call has answered
    gate_s: float = 0.0015
    cache_s: float = 0.002
    ledger_s: float = 0.006
    pickup_s: float = 0.05  # from the submission to the first chunk in work


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process: chunks in work at once, and whose queues it serves."""

    slots: int
    providers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that the engine finds around it. Manners by (provider, model)."""

    workers: tuple[Worker, ...]
    cores: int
    limits: Mapping[str, Limits]
    concurrency: Mapping[str, int]
    manners: Mapping[tuple[str, str], Manner]
    machinery: Machinery
    warm_calls: int = 0  # the gate has learned from so many, and knows how many may be in flight


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A figure with the interval that 90 % of the runs are expected in."""

    value: float
    low: float
    high: float

    def as_json(self) -> JsonObject:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The answer. ``cost_usd`` None: no price is known. ``bound_by``: what makes it take so long."""

    name: str
    jobs: int
    simulated_jobs: int
    runs: int
    duration_s: Span
    cost_usd: Span | None
    calls: float
    failed_calls: float
    cached_jobs: float
    failed_jobs: float
    unfinished_jobs: float
    prompt_tokens: float
    completion_tokens: float
    rate_per_s: float
    bound_by: str
    use: Mapping[str, float] = field(default_factory=dict)  # of what could bound it, the share that was used
    told: tuple[Told, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        return {
            "name": self.name,
            "jobs": self.jobs,
            "duration_s": self.duration_s.as_json(),
            "cost_usd": None if self.cost_usd is None else self.cost_usd.as_json(),
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "cached_jobs": self.cached_jobs,
            "failed_jobs": self.failed_jobs,
            "unfinished_jobs": self.unfinished_jobs,
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "rate_per_s": self.rate_per_s,
            "bound_by": self.bound_by,
            "use": dict(self.use),
            "simulated_jobs": self.simulated_jobs,
            "runs": self.runs,
            "assumptions": [told.as_json() for told in self.told],
            "notes": list(self.notes),
        }
