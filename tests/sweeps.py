"""Sweeps, workers and calls for tests of the database, made in one line each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from core.model import (
    ChunkRef,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Outcome,
)
from core.sweep import SweepSpec, Target
from db.commit import commit
from db.engine import transaction
from db.leases import LeaseBook
from tests.records import call


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A part of the source that became no jobs."""

    where: str
    what: str
    by_design: bool = False


def spec(name: str = "first", **changes: Any) -> SweepSpec:
    plain = {"name": name, "kind": "prompt", "targets": (Target(provider="openai", model="small"),), "chunk_size": 4}
    return SweepSpec.model_validate({**plain, **changes})


def drafts(count: int) -> Iterable[JobDraft]:
    return (JobDraft(key=f"k{n}", input={"n": n}) for n in range(count))


TWO = (Target(provider="openai", model="small"), Target(provider="azure", model="large"))


class Worker:
    """Takes chunks and ends their jobs as it is told."""

    def __init__(self, engine: sqlalchemy.Engine, owner: str = "w1", *, lease_s: float = 30) -> None:
        self.engine = engine
        self.owner = owner
        self.book = LeaseBook(engine=engine, lease_s=lease_s)

    def take(self, sweep_id: int, no: int) -> Lease:
        lease = self.book.take(ChunkRef(sweep_id=sweep_id, no=no), self.owner)
        assert lease is not None
        return lease

    def work(self, sweep_id: int, no: int, state: Callable[[int], JobState] = lambda _: JobState.DONE) -> None:
        lease = self.take(sweep_id, no)
        commit(self.engine, [outcome(lease, job_id, state(n)) for n, job_id in enumerate(self.pending(lease))])
        self.book.finish(lease)

    def pending(self, lease: Lease) -> list[int]:
        with transaction(self.engine) as cursor:
            cursor.execute(
                "SELECT id FROM jobs WHERE sweep_id = %s AND chunk_no = %s AND state = 'pending' ORDER BY id",
                (lease.ref.sweep_id, lease.ref.no),
            )
            return [job_id for (job_id,) in cursor.fetchall()]


def outcome(lease: Lease, job_id: int, state: JobState) -> Outcome:
    """One call for one job; a fallback has none."""
    made_by = call(job_id, provider=lease.variant.provider, model=lease.variant.model)
    made = state is not JobState.FALLBACK
    job = JobResult(
        job_id=job_id,
        state=state,
        fingerprint=made_by.fingerprint,
        call_id=made_by.id if made else None,
        result={"answer": "yes"} if state is not JobState.FAILED else None,
        error={"message": "no"} if state is JobState.FAILED else None,
        attempts=1,
    )
    return Outcome(lease=lease, calls=(made_by,) if made else (), jobs=(job,))


def count(engine: sqlalchemy.Engine, table: str, where: str = "true") -> int:
    with transaction(engine) as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}")
        [(found,)] = cursor.fetchall()
        return int(found)
