"""Calls that nobody finished are booked once, and replaced by the answer that comes late."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy

from core.model import (
    JobResult,
    JobState,
    Modality,
    Outcome,
)
from core.ports import Ask, Intent
from db import calls
from db.commit import commit
from db.progress import status
from db.results import rows
from db.submission import submit
from tests.records import call
from tests.sweeps import Worker, count, drafts, spec


def intent(call_id: int, sweep_id: int, **changes: Any) -> Intent:
    ask = Ask(
        call_id=call_id,
        provider="openai",
        model="small",
        sweep_id=sweep_id,
        owner="dead",
        fingerprint=f"{call_id:064x}",
        modality=Modality.CHAT,
        tokens=100,
        worst_usd=0.02,
    )
    return Intent(ask=replace(ask, **changes), age_s=30.0)


def test_an_orphaned_call_is_booked_once_with_its_worst_case(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    lost = [intent(1, sweep_id), intent(2, sweep_id), intent(3, 999)]
    assert calls.book_unknown(engine, lost) == 3
    assert calls.book_unknown(engine, lost) == 0
    now = status(engine, "first")
    assert (now.calls, now.calls_unknown, now.cost_usd, now.cost_usd_max) == (2, 2, 0.0, 0.04)
    assert calls.spent(engine, sweep_id) == (0.0, 0.04)
    assert calls.existing(engine, [1, 2, 4]) == {1, 2}
    assert count(engine, "group_members", "role = 'made'") == 2


def test_an_orphaned_call_whose_answer_is_cached_is_booked_as_it_was(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    calls.book_unknown(engine, [intent(1, sweep_id)], {1: call(1)})
    now = status(engine, "first")
    assert (now.calls, now.calls_unknown, now.cost_usd) == (1, 0, 0.001)


@pytest.mark.parametrize("adopted", [False, True])
def test_an_answer_that_comes_late_replaces_its_unknown_call(engine: sqlalchemy.Engine, *, adopted: bool) -> None:
    old = 900_001  # far from the sequence's next
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    calls.book_unknown(engine, [intent(old, sweep_id)])
    job = JobResult(job_id=worker.pending(lease)[0], state=JobState.DONE, call_id=old, result={}, cached=adopted)
    key = "adopted" if adopted else "calls"
    late = replace(Outcome(lease=lease, jobs=(job,)), **{key: (call(old),)})  # type: ignore[arg-type] # one of two fields
    for _ in range(2):
        commit(engine, [late])
    now = status(engine, "first")
    assert (now.done, now.calls, now.calls_unknown, now.cost_usd, now.cost_usd_max) == (1, 1, 0, 0.001, 0.001)
    [row] = [row for row in rows(engine, "first") if row.state is JobState.DONE]
    assert row.call_id != old
    assert count(engine, "raw_calls", f"id = {row.call_id} AND status = 'success'") == 1
    assert count(engine, "raw_calls") == 2


def test_living_owners_are_those_with_a_lease(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(8)).sweep_id
    Worker(engine, "alive").take(sweep_id, 0)
    Worker(engine, "dead", lease_s=0).take(sweep_id, 1)
    assert calls.live_owners(engine) == {"alive"}
