"""A ledger and a view of its rows: the in-memory twin and PostgreSQL, alike for the contract's sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.model import (
    CallRecord,
    ChunkRef,
    Job,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    SweepState,
)
from core.ports import Leases, Ledger
from core.sweep import SweepSpec, Target
from db.engine import connect, transaction
from db.ledger import PostgresLedger
from db.memory import MemoryLedger
from db.submission import submit
from db.tally import TALLY_COLUMNS, Tally

LEASE_S = 30.0


class Both(Leases, Ledger, Protocol):
    """A ledger has both ports."""


class World(Protocol):
    """A ledger and a view of its rows."""

    @property
    def ledger(self) -> Both: ...

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int: ...

    def lapse(self, ref: ChunkRef) -> None: ...

    def states(self, sweep_id: int) -> dict[str, JobState]: ...

    def result(self, job_id: int) -> JobResult: ...

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]: ...

    def chunk(self, ref: ChunkRef) -> str: ...

    def total(self, sweep_id: int) -> Tally: ...

    def members(self, sweep_id: int) -> set[tuple[int, str]]: ...


class HandClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class MemoryWorld:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.ledger = MemoryLedger(lease_s=LEASE_S, clock=self.clock)

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int:
        return self.ledger.add_sweep(spec, drafts)

    def lapse(self, ref: ChunkRef) -> None:
        self.ledger.chunks[ref].until = self.clock.now - 1

    def states(self, sweep_id: int) -> dict[str, JobState]:
        mine = [c.jobs for ref, c in self.ledger.chunks.items() if ref.sweep_id == sweep_id]
        return {self.ledger.rows[i].job.key: self.ledger.rows[i].result.state for jobs in mine for i in jobs}

    def result(self, job_id: int) -> JobResult:
        return self.ledger.rows[job_id].result

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]:
        row = self.ledger.sweeps[sweep_id]
        return row.state, row.reason

    def chunk(self, ref: ChunkRef) -> str:
        return self.ledger.chunks[ref].state

    def total(self, sweep_id: int) -> Tally:
        return self.ledger.total(sweep_id)

    def members(self, sweep_id: int) -> set[tuple[int, str]]:
        return {(call_id, role) for group_id, call_id, role in self.ledger.members if group_id == sweep_id}


class PostgresWorld:
    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self.ledger = PostgresLedger(url, lease_s=LEASE_S)

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int:
        return submit(self.engine, spec, drafts).sweep_id

    def lapse(self, ref: ChunkRef) -> None:
        self._all(
            "UPDATE chunks SET lease_until = now() - interval '1 s' WHERE sweep_id = %s AND no = %s RETURNING 1",
            ref.sweep_id,
            ref.no,
        )

    def states(self, sweep_id: int) -> dict[str, JobState]:
        rows = self._all("SELECT key, state FROM jobs WHERE sweep_id = %s", sweep_id)
        return {str(key): JobState(str(state)) for key, state in rows}

    def result(self, job_id: int) -> JobResult:
        columns = "state, fingerprint, call_id, result_json, error_json, attempts, cached"
        [row] = self._all(f"SELECT {columns} FROM jobs WHERE id = %s", job_id)
        names = ("state", "fingerprint", "call_id", "result", "error", "attempts", "cached")
        values = dict(zip(names, row, strict=True))
        return JobResult(job_id=job_id, **{**values, "state": JobState(values["state"])})  # type: ignore[arg-type] # rows are untyped

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]:
        [(state, reason)] = self._all("SELECT state, reason FROM sweeps WHERE id = %s", sweep_id)
        return SweepState(str(state)), str(reason)

    def chunk(self, ref: ChunkRef) -> str:
        [(state,)] = self._all("SELECT state FROM chunks WHERE sweep_id = %s AND no = %s", ref.sweep_id, ref.no)
        return str(state)

    def total(self, sweep_id: int) -> Tally:
        sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in TALLY_COLUMNS)
        [row] = self._all(f"SELECT {sums} FROM sweep_tallies WHERE sweep_id = %s", sweep_id)
        return Tally(**{name: int(str(value)) for name, value in zip(TALLY_COLUMNS, row, strict=True)})

    def members(self, sweep_id: int) -> set[tuple[int, str]]:
        rows = self._all(
            "SELECT call_id, role FROM group_members m JOIN sweeps s USING (group_id) WHERE s.id = %s", sweep_id
        )
        return {(int(str(call_id)), str(role)) for call_id, role in rows}

    def _all(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with transaction(self.engine) as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    async def close(self) -> None:
        await self.ledger.close()
        self.engine.dispose()


def spec(**changes: object) -> SweepSpec:
    plain: Mapping[str, object] = {
        "name": "sweep",
        "kind": "prompt",
        "targets": (Target(provider="openai", model="small"),),
        "chunk_size": 4,
        "options": {"style": "google"},
        "budget_usd": 2.5,
    }
    return SweepSpec.model_validate({**plain, **changes})


def drafts(count: int) -> list[JobDraft]:
    return [JobDraft(key=f"key{n}", input={"n": n, "text": "ü\n\\"}) for n in range(count)]


def done(job: Job, record: CallRecord, **changes: object) -> JobResult:
    plain = JobResult(
        job_id=job.id,
        state=JobState.DONE,
        fingerprint=record.fingerprint,
        call_id=record.id,
        result={"text": 'a "quoted" \\ line\nand another'},
        attempts=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # changes are a result's own fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A sweep of which a worker holds the first chunk."""

    sweep_id: int
    lease: Lease
    jobs: Sequence[Job]


async def take(world: World, *, count: int = 4, owner: str = "w1", **changes: object) -> Taken:
    sweep_id = world.add(spec(**changes), drafts(count))
    lease = await world.ledger.lease(ChunkRef(sweep_id=sweep_id, no=0), owner)
    assert lease is not None
    return Taken(sweep_id=sweep_id, lease=lease, jobs=await world.ledger.jobs(lease))


async def ids(world: World, count: int) -> list[int]:
    return list(await world.ledger.call_ids(count))
