"""Ledger, gate and cache around a simulated run: the twins, each as far away as the real servers are.

The ledger forgets a chunk when it has ended, so that a run's memory does not grow with it.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.claims import CacheAndFlights
from core.model import (
    Answer,
    CallRecord,
    CallStatus,
    ChunkRef,
    Job,
    JobDraft,
    JobResult,
    JobState,
    JsonObject,
    Lease,
    Modality,
    Outcome,
    SweepState,
)
from core.ports import Admission, Ask, Claim, Clock, Gate, Lead, Pulse, Refusal, Refused, Settlement, Ticket
from db.specs import Plan
from db.waves import with_earlier
from scripts.forecast.provider import Core, Tally

SWEEP_ID = 0
"""No sweep in a database has it, so what its requests are salted with is nobody's."""

EARLIER_CALL = 0
"""The call that an answer of an earlier sweep is from."""

_POINTS = 2_000  # of a run's curve: its memory must not grow with the jobs

Known = Callable[[Sequence[str], Modality], Mapping[str, str]]
"""The fingerprints that were answered before, with what was answered where somebody needs it."""

Block = Callable[[int], Sequence[JobDraft]]


@dataclass(slots=True, kw_only=True)
class Count:
    """What has happened so far; ``cost_usd`` None once a call had no price."""

    done: int = 0
    cached: int = 0
    fallback: int = 0
    failed: int = 0
    calls: int = 0
    failed_calls: int = 0
    prompt: int = 0
    completion: int = 0
    cost_usd: float | None = 0.0

    @property
    def ended(self) -> int:
        return self.done + self.fallback + self.failed

    def end(self, job: JobResult) -> None:
        self.done += job.state is JobState.DONE
        self.fallback += job.state is JobState.FALLBACK
        self.failed += job.state is JobState.FAILED
        self.cached += job.cached and job.state is JobState.DONE


@dataclass(slots=True, kw_only=True)
class FlowLedger:
    """Leases and Ledger of one sweep. ``block`` gives the drafts of all variants of a block of chunks."""

    plan: Plan
    block: Block
    known: Known
    clock: Clock
    trip_s: float
    budget_usd: float | None = None
    stopped: str = ""
    count: Count = field(default_factory=Count)
    curve: list[tuple[float, int]] = field(default_factory=list)  # (time, jobs ended by then)
    last_s: float = 0.0
    _pending: dict[ChunkRef, dict[int, Job]] = field(default_factory=dict)
    _fences: dict[ChunkRef, int] = field(default_factory=dict)
    _results: dict[str, JsonObject] = field(default_factory=dict)  # that later waves need
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def lease(self, ref: ChunkRef, owner: str) -> Lease | None:
        await self.clock.sleep(self.trip_s)
        if self.stopped:
            return None
        if ref not in self._pending:
            first = ref.no * self.plan.chunk_size
            drafts = self.block(ref.no // len(self.plan.variants))
            jobs = (Job(id=first + n, key=draft.key, input=draft.input) for n, draft in enumerate(drafts, start=1))
            self._pending[ref] = {job.id: job for job in jobs}
        self._fences[ref] = fence = self._fences.get(ref, 0) + 1
        return self.plan.lease(ref, owner=owner, fence=fence, budget_usd=self.budget_usd)

    async def renew(self, leases: Sequence[Lease]) -> Pulse:
        state = SweepState.PAUSED if self.stopped else SweepState.RUNNING
        return Pulse(
            held=frozenset((lease.ref, lease.fence) for lease in leases),
            sweeps={lease.ref.sweep_id: state for lease in leases},
        )

    async def finish(self, lease: Lease) -> None:
        await self.clock.sleep(self.trip_s)
        if not self._pending[lease.ref]:
            del self._pending[lease.ref], self._fences[lease.ref]

    async def alone(self, lease: Lease, job_id: int) -> bool:
        del lease, job_id  # nobody dies in a forecast
        return True

    async def park(self, sweep_id: int, state: SweepState, reason: str, *, budget_usd: float | None = None) -> None:
        del sweep_id, state, budget_usd
        self.stopped = self.stopped or reason

    async def jobs(self, lease: Lease) -> Sequence[Job]:
        await self.clock.sleep(self.trip_s)
        return [with_earlier(job, self._results, "") for job in self._pending[lease.ref].values()]

    async def find(self, fingerprints: Sequence[str], modality: Modality) -> Mapping[str, Answer]:
        await self.clock.sleep(self.trip_s)
        known = self.known(fingerprints, modality)
        return {print_: Answer(call_id=EARLIER_CALL, text=text) for print_, text in known.items()}

    async def missing_calls(self, call_ids: Sequence[int]) -> Sequence[int]:
        del call_ids
        return []

    async def call_ids(self, count: int) -> Iterable[int]:
        return list(itertools.islice(self._ids, count))

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        await self.clock.sleep(self.trip_s)
        for outcome in outcomes:
            for call in outcome.calls:
                self._book(call)
            for job in outcome.jobs:
                ended = self._pending[outcome.lease.ref].pop(job.job_id, None)
                if ended is None:
                    continue
                self.count.end(job)
                if job.result:
                    self._results[ended.key] = job.result
        self.last_s = self.clock.monotonic()
        if not self.curve or self.count.ended - self.curve[-1][1] >= self.plan.jobs_total // _POINTS:
            self.curve.append((self.last_s, self.count.ended))

    def left(self, ref: ChunkRef) -> bool:
        """Whether a chunk that a worker gave back has jobs to do."""
        return bool(self._pending.get(ref))

    def _book(self, call: CallRecord) -> None:
        count, usage = self.count, call.usage
        count.calls += 1
        count.failed_calls += call.status is CallStatus.FAILED
        if usage is not None:
            count.prompt += usage.prompt
            count.completion += usage.completion
        # A failure is mostly not billed; only an answer without a price makes the sum unknown.
        if call.cost_usd is not None and count.cost_usd is not None:
            count.cost_usd += call.cost_usd
        elif call.status is CallStatus.SUCCESS:
            count.cost_usd = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The ledger as one worker has it: what is found costs its core some work."""

    ledger: FlowLedger
    core: Core
    clock: Clock
    cached_cpu_s: float

    async def find(self, fingerprints: Sequence[str], modality: Modality) -> Mapping[str, Answer]:
        found = await self.ledger.find(fingerprints, modality)
        if found:
            await self.clock.sleep(self.core.delay(len(found) * self.cached_cpu_s))
        return found

    async def jobs(self, lease: Lease) -> Sequence[Job]:
        return await self.ledger.jobs(lease)

    async def missing_calls(self, call_ids: Sequence[int]) -> Sequence[int]:
        return await self.ledger.missing_calls(call_ids)

    async def call_ids(self, count: int) -> Iterable[int]:
        return await self.ledger.call_ids(count)

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        await self.ledger.commit(outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantGate:
    """A gate with the round trip to its server."""

    gate: Gate
    clock: Clock
    trip_s: float
    tally: Tally

    async def admit(self, ask: Ask) -> Admission:
        await self.clock.sleep(self.trip_s)
        admission = await self.gate.admit(ask)
        if isinstance(admission, Refused) and admission.reason is Refusal.BREAKER_OPEN:
            self.tally.turned_away += 1
        return admission

    async def turn(self, ticket: Ticket) -> None:
        await self.gate.turn(ticket)

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        await self.gate.settle(ticket, settlement)
        await self.clock.sleep(self.trip_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantCache:
    """A cache with the round trip to its server."""

    cache: CacheAndFlights
    clock: Clock
    trip_s: float

    async def get(self, fingerprints: Sequence[str]) -> Mapping[str, Answer]:
        await self.clock.sleep(self.trip_s)
        return await self.cache.get(fingerprints)

    async def put(self, call: CallRecord, answers: Mapping[str, Answer], *, ttl_s: float) -> None:
        await self.clock.sleep(self.trip_s)
        await self.cache.put(call, answers, ttl_s=ttl_s)

    async def calls(self, call_ids: Sequence[int]) -> Mapping[int, CallRecord]:
        return await self.cache.calls(call_ids)

    async def claim(self, fingerprints: Sequence[str], owner: str) -> Mapping[str, Claim]:
        await self.clock.sleep(self.trip_s)
        return await self.cache.claim(fingerprints, owner)

    async def renew(self, leads: Sequence[Lead]) -> Sequence[Lead]:
        return await self.cache.renew(leads)

    async def release(self, leads: Sequence[Lead]) -> None:
        await self.cache.release(leads)
