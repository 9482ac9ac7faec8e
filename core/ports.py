"""What the engine needs from outside, as small Protocols. In-memory twins live beside the real backends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol, TypeAlias

from core.model import (
    Answer,
    CallRecord,
    ChatReply,
    ChatRequest,
    ChunkRef,
    EmbeddingReply,
    Job,
    JsonObject,
    Lease,
    LimitHint,
    Modality,
    Outcome,
    Request,
    SweepState,
    Usage,
    Variant,
    Verdict,
)
from core.values import value


class Clock(Protocol):
    """Time and sleeping; the engine runs on virtual time in tests and simulation."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Provider(Protocol):
    """One way to send a call. Raises ``ProviderError``; never retries by itself."""

    @property
    def name(self) -> str: ...

    async def chat(self, request: ChatRequest) -> ChatReply: ...

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply: ...

    async def close(self) -> None: ...


class Kind(Protocol):
    """What a job does, once it is a job: render, judge, fall back. Pure."""

    @property
    def name(self) -> str: ...

    def request(self, job: Job, variant: Variant, options: JsonObject) -> Request:
        """The request of a job. The same input gives the same request, byte for byte."""
        ...

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:
        """Judges an answer: schema first, then the kind's own checks."""
        ...

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:
        """The rule-based result while the provider is away; None: the kind has none and waits."""
        ...


# ---- gate


@value
class Limits:
    """What a provider allows all workers together. None: nobody told a limit."""

    rpm: int | None = None  # requests a minute
    tpm: int | None = None  # tokens a minute, prompt and completion together
    itpm: int | None = None  # input tokens a minute
    otpm: int | None = None  # output tokens a minute
    rpd: int | None = None  # requests a day
    tpd: int | None = None  # tokens a day
    in_flight: int | None = None  # calls at once
    models: "Mapping[str, Limits]" = field(default_factory=dict)  # with limits of their own; the others share these


@value
class Ask:
    """What a call asks of the gate. ``tokens``: estimate of prompt plus completion. Money in USD."""

    call_id: int
    provider: str
    model: str
    sweep_id: int
    owner: str
    fingerprint: str
    modality: Modality
    tokens: int
    output_tokens: int = 0  # part of tokens: the estimate of the completion
    worst_usd: float | None = None  # None: unknown price, not counted against the budget
    budget_usd: float | None = None  # the sweep's cap
    template: str = ""  # kind and version: the gate learns real tokens per template and model


@value
class Ticket:
    """The right to send one call, ``delay_s`` seconds after the admit returned. Settled exactly once."""

    ask: Ask
    delay_s: float
    slot: int  # the server second that the tokens were booked in
    tokens: int  # what was booked
    epoch: int  # of the breaker when the ticket was given out
    probe: bool = False  # the one call that a half-open breaker lets through
    era: int = 0  # which life of the gate's state the ticket was given out in
    pushed: float = 0.0  # the sum of freezes by then; a later one moves the ticket behind it
    lane: str = ""  # whose quota it was booked in, where a model has limits of its own; empty: its provider's


@value
class Wait:
    """Nothing was booked; ask again in ``seconds``."""

    seconds: float
    reason: str = ""
    alone: bool = False  # the sweep's money is why: calls of other sweeps need not wait


class Refusal(StrEnum):
    """Why the gate refuses, beyond waiting."""

    BREAKER_OPEN = "breaker_open"
    BUDGET = "budget"
    TOO_LARGE = "too_large"  # more tokens than the limit itself: it can never fit


@value
class Refused:
    """The call may not be sent. ``retry_in_s``: when asking again makes sense, None: never by itself."""

    reason: Refusal
    detail: str = ""
    retry_in_s: float | None = None


Admission: TypeAlias = Ticket | Wait | Refused


class Health(StrEnum):
    """What a settled call says about its provider, for the breaker."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"  # a 429, a 400, a cancelled call: says nothing


@value
class Settlement:
    """How a ticket ended. ``sent`` False refunds the whole booking."""

    health: Health
    sent: bool = True
    tokens: int | None = None  # real tokens; None: not known, the estimate stays
    input_tokens: int | None = None  # without those from the provider's prompt cache: its input quota leaves them out
    output_tokens: int | None = None
    cost_usd: float | None = None  # real cost; None: not known, the reservation stays spent
    freeze_s: float | None = None  # a 429: nobody sends to this provider for so long
    limits: tuple[LimitHint, ...] = ()


@value
class Intent:
    """A call that was admitted and not yet settled. ``age_s`` since it was admitted, by the server's clock."""

    ask: Ask
    age_s: float


@value
class GateStatus:
    """A provider's gate at a glance. ``breaker``: ``closed``, ``open`` or ``half_open``."""

    breaker: str = "closed"
    rpm_used: int = 0  # requests in the last 60 s
    tpm_used: int = 0  # tokens in the last 60 s
    in_flight: int = 0
    frozen_s: float = 0.0
    told: Limits = field(default_factory=Limits)  # by its headers, not by the settings


class Gate(Protocol):
    """What a call must pass before it is sent. One round trip each. Raises ``GateUnavailable``."""

    async def admit(self, ask: Ask) -> Admission: ...

    async def turn(self, ticket: Ticket) -> None:
        """Sleeps until the ticket's call may go, behind any freeze that came meanwhile."""
        ...

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Ends a ticket. In hand before the first wait: cancelling it cancels the waiting only."""
        ...


class GateAdmin(Protocol):
    """The gate's state, for the reaper and for `sweep status`."""

    async def intents(self, provider: str) -> Sequence[Intent]: ...

    async def forget(self, provider: str, call_ids: Sequence[int]) -> None:
        """Drops intents whose calls have been booked as ``unknown``; their reserved money counts as spent."""
        ...

    async def set_spent(self, sweep_id: int, usd: float) -> None:
        """The ledger's sum, after the gate has lost its state. Never lowers what the gate knows."""
        ...

    async def status(self, provider: str) -> GateStatus: ...


# ---- cache


@value
class Lead:
    """You make the call for this fingerprint. ``fence`` proves it when you renew or release."""

    fingerprint: str
    fence: int


@value
class Follow:
    """Somebody else makes the call; ask again in ``seconds``."""

    fingerprint: str
    seconds: float


Claim: TypeAlias = Answer | Lead | Follow


class Cache(Protocol):
    """Answers by fingerprint. Raises ``CacheUnavailable``; the engine goes on without it."""

    async def get(self, fingerprints: Sequence[str]) -> Mapping[str, Answer]: ...

    async def put(self, call: CallRecord, answers: Mapping[str, Answer], *, ttl_s: float) -> None:
        """Stores a call and its answers (several for an embedding call), and ends the leads for them."""
        ...

    async def calls(self, call_ids: Sequence[int]) -> Mapping[int, CallRecord]:
        """The whole records, to adopt those whose worker died before its commit."""
        ...


class SingleFlight(Protocol):
    """Equal fingerprints in flight anywhere are called once. Raises ``CacheUnavailable``."""

    async def claim(self, fingerprints: Sequence[str], owner: str) -> Mapping[str, Claim]:
        """Hit, lead or follow for each, decided by the server at one instant."""
        ...

    async def renew(self, leads: Sequence[Lead]) -> Sequence[Lead]:
        """Prolongs the leads; returns those that still hold."""
        ...

    async def release(self, leads: Sequence[Lead]) -> None: ...


# ---- ledger


@value
class Pulse:
    """What a heartbeat brings back: the leases that still hold, and the state of their sweeps."""

    held: frozenset[tuple[ChunkRef, int]]  # (chunk, fence)
    sweeps: Mapping[int, SweepState] = field(default_factory=dict)


@value
class ChunkSummary:
    """What Flower shows as the task's result."""

    done: int = 0
    cached: int = 0  # part of done
    fallback: int = 0
    failed: int = 0
    left: int = 0  # still pending: parked, paused, cancelled or lost the lease
    cost_usd: float = 0.0


class Leases(Protocol):
    """Who works on which chunk. Raises ``LedgerUnavailable``."""

    async def lease(self, ref: ChunkRef, owner: str) -> Lease | None:
        """None: leased by another, finished, or its sweep is not running."""
        ...

    async def renew(self, leases: Sequence[Lease]) -> Pulse: ...

    async def finish(self, lease: Lease) -> None:
        """Ends the lease: ``finished`` when no job is pending, else ``waiting`` for the feeder."""
        ...

    async def alone(self, lease: Lease, job_id: int) -> bool:
        """Marks a job as run alone, durably, before it is: ``finish`` clears the mark, a crash leaves it.

        False: the lease is lost.
        """
        ...

    async def park(self, sweep_id: int, state: SweepState, reason: str, *, budget_usd: float | None = None) -> None:
        """Stops a running sweep for a reason that needs a person.

        ``budget_usd``: the cap that is used up; a sweep whose cap has been raised meanwhile goes on.
        """
        ...


class Ledger(Protocol):
    """The jobs' state. Raises ``LedgerUnavailable``."""

    async def jobs(self, lease: Lease) -> Sequence[Job]:
        """The chunk's pending jobs, in order."""
        ...

    async def find(self, fingerprints: Sequence[str], modality: Modality) -> Mapping[str, Answer]:
        """Answers of earlier successful calls."""
        ...

    async def missing_calls(self, call_ids: Sequence[int]) -> Sequence[int]:
        """Those of the ids that are no row yet."""
        ...

    async def call_ids(self, count: int) -> Iterable[int]:
        """Fresh, unique RawCall ids, ascending."""
        ...

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        """All rows of all outcomes in one transaction. A job that is no longer pending keeps its state."""
        ...


# ---- money and tokens


class Meter(Protocol):
    """Tokens and prices. Unknown model: price None, never 0."""

    def prompt_tokens(self, request: Request, *, exact: bool = True) -> int:
        """Tokens of the request. Counting costs more than the rest of a call; ``exact`` False: a guess, rather high."""
        ...

    def worst_case(self, request: Request, prompt_tokens: int) -> tuple[int, float | None]:
        """The most tokens and USD that the request can cost."""
        ...

    def cost(self, provider: str, model: str, usage: Usage) -> float | None: ...
