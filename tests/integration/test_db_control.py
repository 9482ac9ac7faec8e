"""Sweeps are paused, cancelled and retried at any instant."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from core.errors import InputError
from core.model import (
    ChunkRef,
    JobState,
    SweepState,
)
from db import control
from db.commit import commit
from db.engine import transaction
from db.feed import Feed
from db.progress import status
from db.results import report
from db.submission import submit
from tests.sweeps import TWO, Worker, count, drafts, outcome, spec
from workers.observer import SweepView


def test_cancelling_ends_every_job_but_leaves_a_living_worker_its_chunk(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(), drafts(12)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    assert control.cancel(engine, "first") is SweepState.CANCELLED
    feed.close_sweeps()
    now = status(engine, "first")
    assert (now.cancelled, now.pending) == (8, 4)
    commit(engine, [outcome(lease, worker.pending(lease)[0], JobState.DONE)])
    worker.book.finish(lease)
    feed.close_sweeps()
    now = status(engine, "first")
    assert (now.state, now.done, now.cancelled, now.pending) == (SweepState.CANCELLED, 1, 11, 0)
    assert count(engine, "jobs", "state = 'cancelled'") == 11


def test_a_paused_sweep_leases_nothing_until_it_is_resumed(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    assert control.pause(engine, "first") is SweepState.PAUSED
    assert Worker(engine).book.take(ChunkRef(sweep_id=sweep_id, no=0), "w1") is None
    assert status(engine, "first").reason == ""
    assert control.resume(engine, "first") is SweepState.RUNNING
    assert feed.take("openai", 1)


def test_a_used_up_budget_is_raised_not_ignored(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(budget_usd=1.5), drafts(4)).sweep_id
    Worker(engine).book.park(sweep_id, SweepState.BUDGET_EXHAUSTED, "the budget is spent")
    for budget in (None, 1.5, 1.0, float("nan"), -1.0):
        with pytest.raises(InputError):
            control.resume(engine, "first", budget_usd=budget)
    control.resume(engine, "first", budget_usd=2.25)
    assert (status(engine, "first").state, status(engine, "first").budget_usd) == (SweepState.RUNNING, 2.25)
    assert Worker(engine).take(sweep_id, 0).budget_usd == 2.25


def test_a_retry_opens_a_new_round_for_what_it_names(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(targets=TWO), drafts(4)).sweep_id
    states = [JobState.DONE, JobState.FAILED, JobState.FALLBACK, JobState.FAILED]
    worker = Worker(engine)
    for no in (0, 1):
        worker.work(sweep_id, no, lambda n: states[n])
    feed.close_sweeps()
    reopened = control.retry(engine, "first", failed=True)
    assert (reopened.failed, reopened.fallbacks) == (4, 0)
    now = status(engine, "first")
    assert (now.state, now.pending, now.done, now.failed, now.fallback) == (SweepState.RUNNING, 4, 2, 0, 2)
    assert len(feed.take("openai", 9)) == len(feed.take("azure", 9)) == 1
    assert count(engine, "jobs", "round = 1 AND state = 'pending' AND call_id IS NULL AND attempts = 0") == 4
    assert control.retry(engine, "first", failed=False, fallbacks=True).fallbacks == 2
    totals = report(engine, "first")
    assert [(line.provider, line.done, line.failed, line.fallback) for line in totals.lines] == [
        ("azure", 1, 0, 0),
        ("openai", 1, 0, 0),
    ]


@pytest.mark.parametrize("reason", ["", "openai: no such key"])
def test_a_retry_of_a_paused_sweep_leaves_it_paused(engine: sqlalchemy.Engine, feed: Feed, reason: str) -> None:
    sweep_id = submit(engine, spec(), drafts(8)).sweep_id
    worker = Worker(engine)
    worker.work(sweep_id, 0, lambda _: JobState.FAILED)
    worker.book.park(sweep_id, SweepState.PAUSED, reason)

    reopened = control.retry(engine, "first", failed=True)

    assert (reopened.failed, reopened.state) == (4, SweepState.PAUSED)
    now = status(engine, "first")
    assert (now.state, now.reason, now.pending) == (SweepState.PAUSED, reason, 8)
    assert not feed.take("openai", 9)
    control.resume(engine, "first")
    assert len(feed.take("openai", 9)) == 2


def test_a_retry_at_the_moment_in_which_a_chunk_ends_loses_no_job(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    commit(engine, [outcome(lease, job_id, JobState.FAILED) for job_id in worker.pending(lease)])
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as cursor:
            cursor.execute("SELECT FROM sweeps WHERE id = %s FOR UPDATE", (sweep_id,))
            cursor.execute(control._REOPEN, {"sweep_id": sweep_id, "state": "failed"})
            ending = pool.submit(worker.book.finish, lease)
            wait_until_blocked(engine)
        ending.result()
    assert feed.close_sweeps() == []
    assert count(engine, "chunks", "state = 'waiting'") == 1
    assert count(engine, "jobs", "state = 'pending'") == 4


def wait_until_blocked(engine: sqlalchemy.Engine) -> None:
    """Returns when somebody waits for a lock in this database."""
    waiting = "wait_event_type = 'Lock' AND datname = current_database()"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if count(engine, "pg_stat_activity", waiting):
            return
    raise AssertionError("nobody waits for a lock")


def test_commands_refuse_what_makes_no_sense(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec("nightly-docs"), drafts(4)).sweep_id
    with pytest.raises(InputError) as unknown:
        control.pause(engine, "nightly-doc")
    assert "nightly-docs" in unknown.value.hint
    Worker(engine).work(sweep_id, 0)
    feed.close_sweeps()
    for command in (control.pause, control.resume, control.cancel):
        with pytest.raises(InputError, match="done"):
            command(engine, "nightly-docs")
    submit(engine, spec("gone"), drafts(4))
    control.cancel(engine, "gone")
    refused: tuple[Callable[[sqlalchemy.Engine, str], object], ...] = (control.pause, control.resume, control.retry)
    for steer in refused:
        with pytest.raises(InputError, match="cancelled"):
            steer(engine, "gone")
    assert control.cancel(engine, "gone") is SweepState.CANCELLED


def test_a_cancelled_sweep_is_no_success_even_before_its_jobs_are_cancelled(engine: sqlalchemy.Engine) -> None:
    submit(engine, spec("s"), drafts(4))
    control.cancel(engine, "s")
    found = status(engine, "s")
    assert found.cancelled == 0
    assert SweepView(status=found).exit_code == 1
