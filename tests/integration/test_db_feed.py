"""Chunks are handed out: once, in turns, again when they got lost."""

import asyncio
import threading
from collections.abc import Callable

import psycopg2
import pytest
import sqlalchemy

from core.errors import LedgerUnavailable
from core.model import (
    ChunkRef,
    JobResult,
    JobState,
    Outcome,
    SweepState,
)
from db import control
from db.feed import Feed
from db.ledger import PostgresLedger
from db.progress import status
from db.submission import submit
from tests.records import call
from tests.sweeps import TWO, Worker, count, drafts, spec

_BREAK = """
    SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


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


def test_one_feeder_leads_and_another_follows_when_it_is_gone(
    database_url: str, feed: Feed, eventually: Callable[..., None]
) -> None:
    other = Feed(database_url)
    assert feed.lead()
    assert feed.lead()
    assert not other.lead()
    feed.close()
    eventually(other.lead)  # the server hears of the closed connection a moment later
    other.close()


def test_a_leader_whose_connection_broke_knows_it(
    database_url: str, feed: Feed, eventually: Callable[..., None]
) -> None:
    assert feed.lead()
    with psycopg2.connect(database_url) as admin, admin.cursor() as cursor:
        cursor.execute(_BREAK)
    admin.close()
    with pytest.raises(LedgerUnavailable):
        feed.lead()
    eventually(feed.lead)  # a backend says goodbye a moment before its locks are gone


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
                await ledger.commit([Outcome(lease=lease, calls=(call(call_id),), jobs=(done,))])
            await ledger.renew([lease])
            await ledger.finish(lease)

    await asyncio.gather(*(work(number) for number in range(6)))
    for ledger in ledgers:
        await ledger.close()
    now = status(engine, "first")
    assert (now.done, now.calls, now.pending) == (400, 400, 0)
    assert count(engine, "chunks", "state = 'finished' AND takes = 1") == 50
