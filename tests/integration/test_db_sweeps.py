"""A sweep's life in PostgreSQL: submitted, fed, steered, ended, read back."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg2
import pytest
import sqlalchemy

from core.errors import InputError
from core.model import (
    CallRecord,
    CallStatus,
    ChunkRef,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Modality,
    Outcome,
    SweepState,
    Usage,
    VectorRecord,
)
from core.ports import Ask, Intent
from core.sweep import SweepSpec, Target
from db import calls, control
from db.commit import commit
from db.engine import connect, transaction
from db.feed import Feed
from db.leases import LeaseBook
from db.ledger import PostgresLedger
from db.progress import status, sweeps
from db.results import report, rows
from db.submission import submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A part of the source that became no jobs."""

    where: str
    what: str
    by_design: bool = False


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url, pool=8)
    yield opened
    opened.dispose()


@pytest.fixture
def feed(database_url: str) -> Iterator[Feed]:
    opened = Feed(database_url)
    yield opened
    opened.close()


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


def record(call_id: int, **changes: Any) -> CallRecord:
    plain = CallRecord(
        id=call_id,
        provider="openai",
        model="small",
        modality=Modality.CHAT,
        status=CallStatus.SUCCESS,
        fingerprint=f"{call_id:064x}",
        request={"messages": []},
        response={"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]},
        usage=Usage(prompt=10, completion=5),
        cost_usd=0.001,
        cost_max_usd=0.01,
    )
    return replace(plain, **changes)


def outcome(lease: Lease, job_id: int, state: JobState) -> Outcome:
    """One call for one job; a fallback has none."""
    call = record(job_id, provider=lease.variant.provider, model=lease.variant.model)
    made = state is not JobState.FALLBACK
    job = JobResult(
        job_id=job_id,
        state=state,
        fingerprint=call.fingerprint,
        call_id=call.id if made else None,
        result={"answer": "yes"} if state is not JobState.FAILED else None,
        error={"message": "no"} if state is JobState.FAILED else None,
        attempts=1,
    )
    return Outcome(lease=lease, calls=(call,) if made else (), jobs=(job,))


def count(engine: sqlalchemy.Engine, table: str, where: str = "true") -> int:
    with transaction(engine) as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}")
        [(found,)] = cursor.fetchall()
        return int(found)


# -- submission


def test_jobs_keep_the_order_of_their_inputs_over_all_variants(engine: sqlalchemy.Engine) -> None:
    made = submit(engine, spec(targets=TWO), drafts(6))
    assert (made.jobs, made.created, made.state) == (12, True, SweepState.RUNNING)
    keys = [row.key for row in rows(engine, "first")]
    assert keys[:3] == ["k0 @ openai/small", "k0 @ azure/large", "k1 @ openai/small"]
    assert keys[8:] == ["k4 @ openai/small", "k4 @ azure/large", "k5 @ openai/small", "k5 @ azure/large"]
    assert count(engine, "chunks") == 4


def test_the_same_submission_again_is_the_same_sweep(engine: sqlalchemy.Engine) -> None:
    first = submit(engine, spec(budget_usd=1), drafts(6))

    def unread() -> Iterator[JobDraft]:
        raise AssertionError("a sweep that exists needs no source")
        yield

    again = submit(engine, spec(budget_usd=2, description="again"), unread())
    assert (again.sweep_id, again.jobs, again.created) == (first.sweep_id, 6, False)


def test_another_spec_under_the_same_name_is_refused_and_told_apart(engine: sqlalchemy.Engine) -> None:
    submit(engine, spec(), drafts(2))
    with pytest.raises(InputError, match="chunk_size is 4, now 8"):
        submit(engine, spec(chunk_size=8), drafts(2))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([], "no jobs"),
        ([JobDraft(key="a, (b)=1", input={}), JobDraft(key="a, (b)=1", input={})], r"'a, \(b\)=1'"),
        ([JobDraft(key="x" * 5000, input={})], "too long"),
        ([JobDraft(key="", input={})], "empty"),
        ([JobDraft(key="a\0b", input={})], "not text"),
    ],
)
def test_a_bad_source_leaves_nothing_behind(engine: sqlalchemy.Engine, given: list[JobDraft], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        submit(engine, spec(), given)
    assert [count(engine, table) for table in ("groups", "sweeps", "chunks", "jobs")] == [0, 0, 0, 0]


def test_a_source_that_breaks_midway_leaves_nothing_behind(engine: sqlalchemy.Engine) -> None:
    def breaking() -> Iterator[JobDraft]:
        yield from (JobDraft(key=f"k{n}", input={"text": "x" * 2000}) for n in range(5000))
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        submit(engine, spec(), breaking())
    assert count(engine, "jobs") == 0


def test_no_source_names_its_first_problem(engine: sqlalchemy.Engine) -> None:
    with pytest.raises(InputError) as caught:
        submit(engine, spec(), [], problems=[Note(where="a.py:3", what="does not parse")])
    assert "a.py:3" in caught.value.hint


def test_problems_found_while_streaming_are_kept(engine: sqlalchemy.Engine) -> None:
    problems: list[Note] = []

    def streaming() -> Iterator[JobDraft]:
        yield JobDraft(key="k", input={})
        problems.append(Note(where="b.py", what="binary"))

    submit(engine, spec(), streaming(), problems=problems)
    assert status(engine, "first").problems == ({"where": "b.py", "what": "binary"},)


def test_two_producers_of_one_name_make_one_sweep(database_url: str, engine: sqlalchemy.Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: submit(database_url, spec(), drafts(500)), range(4)))
    assert sorted(m.created for m in made) == [False, False, False, True]
    assert len({m.sweep_id for m in made}) == 1
    assert count(engine, "jobs") == 500


def test_keys_and_inputs_survive_any_text(engine: sqlalchemy.Engine) -> None:
    odd = ["tab\tand\nline", "back\\slash", "\\N", "ü \U0001f600", 'it\'s "quoted"; DROP TABLE jobs --']
    submit(engine, spec(), [JobDraft(key=key, input={"text": key + "\0", key: [1.5, None]}) for key in odd])
    found = list(rows(engine, "first"))
    assert [row.key for row in found] == odd
    assert [row.input for row in found] == [{"text": key + "\0", key: [1.5, None]} for key in odd]


# -- the feed


def test_chunks_are_taken_once_in_turns_over_the_sweeps(engine: sqlalchemy.Engine, feed: Feed) -> None:
    submit(engine, spec("old"), drafts(40))
    submit(engine, spec("new"), drafts(8))
    taken = feed.take("openai", 6)
    assert [(chunk.sweep_name, chunk.ref.no) for chunk in taken] == [
        ("old", 0), ("new", 0), ("old", 1), ("new", 1), ("old", 2), ("old", 3),
    ]  # fmt: skip
    assert {chunk.jobs for chunk in taken} == {4}
    assert feed.queued("openai") == 6
    assert len(feed.take("openai", 100)) == 6
    assert feed.take("openai", 100) == []


def test_a_new_sweep_catches_up_with_one_that_has_filled_the_queue(engine: sqlalchemy.Engine, feed: Feed) -> None:
    submit(engine, spec("old"), drafts(80))
    feed.take("openai", 5)
    submit(engine, spec("new"), drafts(80))
    assert [chunk.sweep_name for chunk in feed.take("openai", 5)] == ["new"] * 5


def test_only_running_sweeps_and_the_right_provider_are_fed(engine: sqlalchemy.Engine, feed: Feed) -> None:
    submit(engine, spec(targets=TWO), drafts(4))
    submit(engine, spec("paused"), drafts(4))
    control.pause(engine, "paused")
    assert feed.providers() == ["azure", "openai"]
    assert [(c.sweep_name, c.ref.no) for c in feed.take("azure", 9)] == [("first", 1)]
    assert [(c.sweep_name, c.ref.no) for c in feed.take("openai", 9)] == [("first", 0)]


def test_what_got_lost_is_fed_again(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(), drafts(8)).sweep_id
    feed.take("openai", 2)
    assert feed.requeue_lost("openai", 60) == 0
    assert feed.requeue_lost("openai", 0) == 2
    Worker(engine, lease_s=0).take(sweep_id, 0)
    assert feed.requeue_lapsed() == 1
    assert len(feed.take("openai", 9)) == 2


def test_one_feeder_leads_and_another_follows_when_it_is_gone(database_url: str, feed: Feed) -> None:
    other = Feed(database_url)
    assert feed.lead()
    assert feed.lead()
    assert not other.lead()
    feed.close()
    assert other.lead()
    other.close()


def test_a_leader_whose_connection_broke_knows_it(database_url: str, feed: Feed) -> None:
    assert feed.lead()
    with psycopg2.connect(database_url) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    admin.close()
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(str(feed.lead()))
        except Exception as exc:  # noqa: BLE001 - its class is what the test is about
            outcomes.append(type(exc).__name__)
    assert outcomes == ["LedgerUnavailable", "True"]


def test_a_submission_wakes_the_feeder(engine: sqlalchemy.Engine, feed: Feed) -> None:
    assert not feed.wait(0)
    timer = threading.Timer(0.1, lambda: submit(engine, spec(), drafts(1)))
    timer.start()
    assert feed.wait(20)
    timer.join()


def test_a_sweep_is_done_when_its_last_chunk_is(engine: sqlalchemy.Engine, feed: Feed) -> None:
    sweep_id = submit(engine, spec(), drafts(8)).sweep_id
    worker = Worker(engine)
    worker.work(sweep_id, 0)
    assert feed.close_sweeps() == []
    worker.work(sweep_id, 1)
    assert feed.close_sweeps() == [sweep_id]
    now = status(engine, "first")
    assert (now.state, now.pending, now.done) == (SweepState.DONE, 0, 8)
    assert now.finished_at is not None
    assert feed.close_sweeps() == []


# -- commands


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
    for _ in range(2000):
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


# -- what is read back


def test_status_agrees_with_the_rows(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(targets=TWO, budget_usd=9), drafts(8)).sweep_id
    states = [JobState.DONE, JobState.FAILED, JobState.FALLBACK, JobState.DONE]
    Worker(engine, "w1").work(sweep_id, 0, lambda n: states[n])
    Worker(engine, "w2").work(sweep_id, 1, lambda n: states[n])
    now = status(engine, "first")
    assert (now.jobs, now.pending, now.done, now.failed, now.fallback) == (16, 8, 4, 2, 2)
    assert (now.calls, now.tokens.prompt, now.tokens.completion) == (6, 60, 30)
    assert (now.cost_usd, now.cost_usd_max, now.budget_usd) == (0.006, 0.006, 9)
    assert {name: part.calls for name, part in now.providers.items()} == {"azure": 3, "openai": 3}
    assert now.rate_per_s > 0
    assert now.eta_s is not None
    assert [found.name for found in sweeps(engine)] == ["first"]
    assert count(engine, "jobs", "state = 'done'") == now.done
    assert count(engine, "raw_calls") == now.calls


def test_an_unknown_price_is_never_zero(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(1)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    call = record(1, cost_usd=None, cost_max_usd=None)
    job = JobResult(job_id=worker.pending(lease)[0], state=JobState.DONE, call_id=1, result={}, attempts=1)
    commit(engine, [Outcome(lease=lease, calls=(call,), jobs=(job,))])
    now = status(engine, "first")
    assert (now.cost_usd, now.cost_usd_max, now.cost_unknown) == (None, None, 1)
    assert next(rows(engine, "first")).cost_usd is None


def test_results_tell_who_answered_and_share_a_calls_cost(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    first, second, third, last = worker.pending(lease)
    call = record(7, provider="azure", model="large", usage=Usage(prompt=10, completion=1), cost_usd=0.000_000_010)
    shared = [
        JobResult(job_id=i, state=JobState.DONE, call_id=7, result={}, attempts=1) for i in (first, second, third)
    ]
    copied = JobResult(job_id=last, state=JobState.DONE, call_id=7, result={}, cached=True)
    commit(engine, [Outcome(lease=lease, calls=(call,), jobs=(*shared, copied))])
    found = list(rows(engine, "first"))
    assert [row.tokens.prompt for row in found] == [4, 3, 3, 0]
    assert [row.cost_usd for row in found] == [4e-9, 3e-9, 3e-9, 0]
    assert {(row.provider, row.model) for row in found} == {("azure", "large")}
    assert [row.cached for row in found] == [False, False, False, True]


def test_vectors_come_only_when_asked_for(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(1)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    vector = np.arange(5, dtype=np.float32)
    kept = VectorRecord(call_id=1, position=0, fingerprint="f" * 64, model="small", vector=vector)
    job = JobResult(job_id=worker.pending(lease)[0], state=JobState.DONE, fingerprint="f" * 64, call_id=1, result={})
    commit(engine, [Outcome(lease=lease, calls=(record(1),), jobs=(job,), vectors=(kept,))])
    assert next(rows(engine, "first")).vector is None
    found = next(rows(engine, "first", vectors=True)).vector
    assert found is not None
    assert np.array_equal(found, vector)


def test_results_of_a_large_sweep_come_in_input_order_page_by_page(engine: sqlalchemy.Engine) -> None:
    submit(engine, spec(targets=TWO, chunk_size=64), drafts(3001))
    submit(engine, spec("second", chunk_size=64), drafts(3))
    keys = [row.key.partition(" ")[0] for row in rows(engine, "first")]
    assert keys == [f"k{n}" for n in range(3001) for _ in range(2)]


# -- calls that nobody finished


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
    calls.book_unknown(engine, [intent(1, sweep_id)], {1: record(1)})
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
    late = replace(Outcome(lease=lease, jobs=(job,)), **{key: (record(old),)})  # type: ignore[arg-type] # one of two fields
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


# -- many at once


async def test_workers_that_fight_for_chunks_end_every_job_once(database_url: str, engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(chunk_size=8), drafts(400)).sweep_id
    ledgers = [PostgresLedger(database_url, lease_s=30, threads=2) for _ in range(3)]

    async def work(number: int) -> None:
        ledger = ledgers[number % 3]
        for no in range(50):
            lease = await ledger.lease(ChunkRef(sweep_id=sweep_id, no=no), f"w{number}")
            if lease is None:
                continue
            for job in await ledger.jobs(lease):
                (call_id,) = await ledger.call_ids(1)
                done = JobResult(job_id=job.id, state=JobState.DONE, call_id=call_id, result={}, attempts=1)
                await ledger.commit([Outcome(lease=lease, calls=(record(call_id),), jobs=(done,))])
            await ledger.renew([lease])
            await ledger.finish(lease)

    await asyncio.gather(*(work(number) for number in range(6)))
    for ledger in ledgers:
        await ledger.close()
    now = status(engine, "first")
    assert (now.done, now.calls, now.pending) == (400, 400, 0)
    assert count(engine, "chunks", "state = 'finished' AND takes = 1") == 50
