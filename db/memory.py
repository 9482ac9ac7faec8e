"""The in-memory twin of the ledger: the same promises for the engine's tests, with no server.

``tests/contract/ledger`` holds the two together.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.clock import SystemClock
from core.model import (
    Answer,
    CallRecord,
    CallStatus,
    ChunkRef,
    ChunkState,
    Job,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Modality,
    Outcome,
    SweepState,
    VectorRecord,
)
from core.ports import Clock, Pulse
from core.sweep import SweepSpec
from db.answers import answer_text
from db.specs import Plan, plan
from db.tally import Tally, TallyKey
from db.waves import blocks, with_earlier


@dataclass(slots=True, kw_only=True)
class MemoryChunk:
    """A chunk's row."""

    jobs: list[int]
    state: ChunkState = ChunkState.QUEUED
    owner: str = ""
    until: float = 0.0
    takes: int = 0
    stalled: int = 0
    pending: int | None = None


@dataclass(slots=True, kw_only=True)
class MemoryJob:
    """A job's row: what it was, and what became of it."""

    job: Job
    result: JobResult


@dataclass(slots=True, kw_only=True)
class MemorySweep:
    """A sweep's row."""

    plan: Plan
    state: SweepState = SweepState.RUNNING
    reason: str = ""
    budget_usd: float | None = None


@dataclass(slots=True, kw_only=True)
class MemoryLedger:
    """Leases and Ledger of ``core.ports``. Its rows are public: a test reads them as it would read tables."""

    lease_s: float = 10.0
    clock: Clock = field(default_factory=SystemClock)
    sweeps: dict[int, MemorySweep] = field(default_factory=dict)
    chunks: dict[ChunkRef, MemoryChunk] = field(default_factory=dict)
    rows: dict[int, MemoryJob] = field(default_factory=dict)
    calls: dict[int, CallRecord] = field(default_factory=dict)
    vectors: dict[str, VectorRecord] = field(default_factory=dict)
    members: set[tuple[int, int, str]] = field(default_factory=set)
    tallies: defaultdict[TallyKey, Tally] = field(default_factory=lambda: defaultdict(Tally))
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add_sweep(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int:
        """Adds a running sweep whose chunks are queued; returns its id."""
        labels, given = list(spec.labels()), list(blocks(drafts, spec.chunk_size))
        sweep_id = len(self.sweeps) + 1
        total = sum(map(len, given)) * len(labels)
        changes = (n for n, (a, b) in enumerate(itertools.pairwise(given), start=1) if a[0].wave != b[0].wave)
        waves = tuple(n * len(labels) for n in changes)
        unfolded = plan(spec, sweep_id=sweep_id, group_id=sweep_id, jobs_total=total, waves=waves)
        self.sweeps[sweep_id] = MemorySweep(plan=unfolded, budget_usd=spec.budget_usd)
        for number, block in enumerate(given):
            for draft, (index, label) in itertools.product(block, enumerate(labels)):
                ref = ChunkRef(sweep_id=sweep_id, no=number * len(labels) + index)
                job = Job(id=len(self.rows) + 1, key=draft.key + label, input=draft.input)
                self.rows[job.id] = MemoryJob(job=job, result=JobResult(job_id=job.id, state=JobState.PENDING))
                self.chunks.setdefault(ref, MemoryChunk(jobs=[])).jobs.append(job.id)
        return sweep_id

    def total(self, sweep_id: int) -> Tally:
        """A sweep's counts over all owners, providers and models."""
        found = [tally for key, tally in self.tallies.items() if key.sweep_id == sweep_id]
        names = Tally.__slots__
        return Tally(**{name: sum(getattr(tally, name) for tally in found) for name in names})

    async def lease(self, ref: ChunkRef, owner: str) -> Lease | None:
        chunk, sweep = self.chunks.get(ref), self.sweeps.get(ref.sweep_id)
        if chunk is None or sweep is None or sweep.state is not SweepState.RUNNING:
            return None
        held = chunk.state is ChunkState.LEASED and chunk.until >= self.clock.time()
        if held or chunk.state is ChunkState.FINISHED:
            return None
        chunk.state, chunk.owner, chunk.takes = ChunkState.LEASED, owner, chunk.takes + 1
        chunk.until = self.clock.time() + self.lease_s
        pending = len(self._pending(chunk))
        chunk.stalled = chunk.stalled + 1 if chunk.pending == pending else 1
        chunk.pending = pending
        return sweep.plan.lease(ref, owner=owner, fence=chunk.takes, budget_usd=sweep.budget_usd, stalled=chunk.stalled)

    async def renew(self, leases: Sequence[Lease]) -> Pulse:
        held = [lease for lease in leases if self._holds(lease)]
        for lease in held:
            self.chunks[lease.ref].until = self.clock.time() + self.lease_s
        known = {lease.ref.sweep_id for lease in leases} & self.sweeps.keys()
        return Pulse(
            held=frozenset((lease.ref, lease.fence) for lease in held),
            sweeps={sweep_id: self.sweeps[sweep_id].state for sweep_id in known},
        )

    async def finish(self, lease: Lease) -> None:
        if self._holds(lease):
            chunk = self.chunks[lease.ref]
            pending = self._pending(chunk)
            chunk.state, chunk.owner = ChunkState.WAITING if pending else ChunkState.FINISHED, ""
            chunk.stalled = 0
            for row in pending:
                row.job = replace(row.job, deaths=0)

    async def alone(self, lease: Lease, job_id: int) -> bool:
        if self._holds(lease):
            row = self.rows[job_id]
            row.job = replace(row.job, deaths=row.job.deaths + 1)
        return self._holds(lease)

    async def park(self, sweep_id: int, state: SweepState, reason: str, *, budget_usd: float | None = None) -> None:
        sweep = self.sweeps[sweep_id]
        if sweep.state is SweepState.RUNNING and budget_usd in {None, sweep.budget_usd}:
            sweep.state, sweep.reason = state, reason

    async def jobs(self, lease: Lease) -> Sequence[Job]:
        done = {
            row.job.key: row.result.result
            for ref, chunk in self.chunks.items()
            if ref.sweep_id == lease.ref.sweep_id and ref.no < lease.wave_start
            for row in (self.rows[job_id] for job_id in chunk.jobs)
            if row.result.state is JobState.DONE and row.result.result is not None
        }
        pending = [row.job for row in self._pending(self.chunks[lease.ref])]
        return [with_earlier(job, done, lease.label) for job in pending] if lease.wave_start else pending

    async def find(self, fingerprints: Sequence[str], modality: Modality) -> Mapping[str, Answer]:
        wanted = set(fingerprints)
        if modality is Modality.EMBEDDING:
            return {
                fingerprint: Answer(call_id=record.call_id, position=record.position, vector=record.vector)
                for fingerprint, record in self.vectors.items()
                if fingerprint in wanted
            }
        found: dict[str, Answer] = {}
        for _, call in sorted(self.calls.items()):
            usable = call.status is CallStatus.SUCCESS and call.modality is Modality.CHAT
            if usable and call.fingerprint in wanted and call.fingerprint not in found:
                text, finish_reason = answer_text(call.response, call.metadata)
                found[call.fingerprint] = Answer(call_id=call.id, text=text, finish_reason=finish_reason)
        return found

    async def missing_calls(self, call_ids: Sequence[int]) -> Sequence[int]:
        return [call_id for call_id in call_ids if call_id not in self.calls]

    async def call_ids(self, count: int) -> Iterable[int]:
        return [next(self._ids) for _ in range(count)]

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        held = {(lease.ref, lease.fence) for lease in (o.lease for o in outcomes) if self._holds(lease)}
        fresh: set[int] = set()
        for outcome in outcomes:
            fresh |= self._keep_calls(outcome)
            for record in outcome.vectors:
                self.vectors.setdefault(record.fingerprint, record)
        for outcome in outcomes:
            for job in outcome.jobs:
                if job.cached and job.call_id is not None and job.call_id not in fresh:
                    self.members.add((outcome.lease.group_id, job.call_id, "cached"))
                if (outcome.lease.ref, outcome.lease.fence) in held:
                    self._keep_result(outcome.lease, job)

    def _keep_calls(self, outcome: Outcome) -> set[int]:
        fresh = {call.id: call for call in (*outcome.calls, *outcome.adopted) if call.id not in self.calls}
        for call in fresh.values():
            self.calls[call.id] = call
            self.members.add((outcome.lease.group_id, call.id, "made"))
            self._tally(outcome.lease, call.provider, call.model).add_call(call)
        return set(fresh)

    def _keep_result(self, lease: Lease, result: JobResult) -> None:
        row = self.rows[result.job_id]
        if row.result.state is JobState.PENDING:
            row.job, row.result = replace(row.job, attempts=result.attempts), result
            self._tally(lease, lease.variant.provider, lease.variant.model).add_job(result)

    def _pending(self, chunk: MemoryChunk) -> list[MemoryJob]:
        rows = (self.rows[job_id] for job_id in chunk.jobs)
        return [row for row in rows if row.result.state is JobState.PENDING]

    def _holds(self, lease: Lease) -> bool:
        chunk = self.chunks[lease.ref]
        mine = chunk.state is ChunkState.LEASED and chunk.owner == lease.owner
        return mine and chunk.takes == lease.fence

    def _tally(self, lease: Lease, provider: str, model: str) -> Tally:
        key = TallyKey(sweep_id=lease.ref.sweep_id, owner=lease.owner, provider=provider, model=model)
        return self.tallies[key]
