"""What is committed together, and what one result that no database can hold does to the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.errors import LedgerRefused
from core.model import ChunkRef, JobResult, JobState, Lease, Outcome, Variant
from core.recorder import Recorder
from db.memory import MemoryLedger
from tests.records import call
from tests.virtual import VirtualClock

LEASE = Lease(
    ref=ChunkRef(sweep_id=1, no=0),
    owner="w",
    fence=1,
    kind="toy",
    sweep_name="s",
    group_id=1,
    variant=Variant(provider="openai", model="toy-1"),
)


@dataclass(slots=True, kw_only=True)
class Squeamish(MemoryLedger):
    """Refuses a response that holds "poison", as PostgreSQL refuses what its types can't hold."""

    kept: list[Outcome] = field(default_factory=list)

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        if any("poison" in (call.response or {}) for outcome in outcomes for call in outcome.calls):
            raise LedgerRefused("no such value")
        self.kept += outcomes


def outcome(number: int, *, poison: bool = False, with_job: bool = True) -> Outcome:
    made = call(number, model="toy-1", response={"poison": 1} if poison else {"text": "fine"}, cost_usd=0.01)
    job = JobResult(job_id=number, state=JobState.DONE, call_id=number, result={"text": "fine"})
    return Outcome(lease=LEASE, calls=(made,), jobs=(job,) if with_job else ())


@asynccontextmanager
async def recording(ledger: Squeamish) -> AsyncIterator[Recorder]:
    recorder = Recorder(ledger, VirtualClock())
    running = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_result_that_cannot_be_stored_fails_alone_and_its_call_keeps_its_cost() -> None:
    ledger = Squeamish()

    async with recording(ledger) as recorder:
        await asyncio.gather(*(recorder.record(outcome(n, poison=n == 250)) for n in range(500)))

    states = {job.job_id: job.state for kept in ledger.kept for job in kept.jobs}
    assert [job_id for job_id, state in states.items() if state is JobState.FAILED] == [250]
    assert len(states) == 500
    (call,) = [call for kept in ledger.kept for call in kept.calls if call.id == 250]
    assert (call.cost_usd, call.response) == (0.01, None)


@pytest.mark.parametrize("with_job", [True, False])
async def test_a_call_whose_answer_cannot_be_stored_becomes_a_row_without_it(*, with_job: bool) -> None:
    ledger = Squeamish()

    async with recording(ledger) as recorder:
        await asyncio.wait_for(recorder.record(outcome(1, poison=True, with_job=with_job)), timeout=10)

    assert [call.id for kept in ledger.kept for call in kept.calls] == [1]
