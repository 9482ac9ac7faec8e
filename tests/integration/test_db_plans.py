"""No statement of a running sweep reads a table through, however many rows it has, with statistics or without."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy

from core.model import (
    ChunkRef,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Modality,
    Outcome,
    SweepState,
)
from core.ports import Ask, Intent
from core.sweep import SweepSpec, Target
from db import answers, calls, closing, control, results
from db.commit import commit
from db.engine import connect, transaction
from db.feed import Feed
from db.leases import LeaseBook
from db.ledger import PostgresLedger
from db.progress import status, sweeps
from db.submission import submit
from tests.plans import Plans, Scan, recorded
from tests.records import call

LARGE = ("jobs", "chunks", "raw_calls", "group_members", "embedding_vectors")
CHUNK = 10
CHUNKS = 1_000
JOBS = CHUNK * CHUNKS
MOST = 64 * CHUNK
"""Rows that a statement may look at: what it is about, and no more."""

# Three old sweeps that ended, one that was cancelled and one that is halfway through; their calls are rows.
_FILL = f"""
    INSERT INTO groups (id, group_type, name) SELECT n, 'sweep', 'filled-' || n FROM generate_series(1001, 1005) n;
    INSERT INTO sweeps (id, group_id, kind, spec_json, digest, state, jobs_total, finished_at)
    SELECT n, n, 'prompt', %(spec)s, n::text,
        CASE n WHEN 1004 THEN 'cancelled' WHEN 1005 THEN 'running' ELSE 'done' END,
        {JOBS}, CASE n WHEN 1005 THEN NULL ELSE now() END FROM generate_series(1001, 1005) n;
    INSERT INTO chunks (sweep_id, no, provider, kind, jobs, state, takes, lease_owner, lease_until, queued_at)
    SELECT s, n, 'openai', 'prompt', {CHUNK}, x.state, 1,
        CASE x.state WHEN 'leased' THEN 'w' || n %% 8 END,
        CASE x.state WHEN 'leased' THEN now() + (n - {CHUNKS // 2}) * interval '1 hour' END,
        CASE x.state WHEN 'queued' THEN now() - interval '1 hour' END
    FROM generate_series(1001, 1005) s, generate_series(0, {CHUNKS - 1}) n, LATERAL (SELECT CASE
        WHEN s < 1004 OR n < {CHUNKS // 2} THEN 'finished' WHEN s = 1004 OR n > {CHUNKS // 2 + 64} THEN 'waiting'
        WHEN n %% 2 = 0 THEN 'leased' ELSE 'queued' END AS state) x;
    INSERT INTO jobs (sweep_id, chunk_no, key, input_json, state, fingerprint, call_id)
    SELECT s, n / {CHUNK}, 'k' || n, '{{"row": {{"prompt": "p"}}}}', x.state,
        CASE x.state WHEN 'done' THEN 'f' || s || '-' || n END, CASE x.state WHEN 'done' THEN s * 1000000 + n END
    FROM generate_series(1001, 1005) s, generate_series(0, {JOBS - 1}) n, LATERAL (SELECT CASE
        WHEN n %% 5000 = 0 THEN 'failed' WHEN s < 1004 OR n < {JOBS // 2} THEN 'done' ELSE 'pending' END AS state) x;
    INSERT INTO raw_calls (id, provider, model, modality, status, fingerprint, request_json, response_json)
    SELECT call_id, 'openai', 'small', 'chat', 'success', fingerprint, '{{}}',
        '{{"choices": [{{"message": {{"content": "yes"}}, "finish_reason": "stop"}}]}}' FROM jobs
    WHERE call_id IS NOT NULL;
    INSERT INTO group_members (group_id, call_id) SELECT sweep_id, call_id FROM jobs WHERE call_id IS NOT NULL;
    INSERT INTO embedding_vectors (call_id, fingerprint, model, vector, dimension, norm)
    SELECT call_id, fingerprint, 'small', '[1,2,3]', 3, 3.7 FROM jobs WHERE call_id IS NOT NULL AND sweep_id < 1004;
    INSERT INTO sweep_tallies (sweep_id, owner, provider, model, done)
    SELECT s, 'w' || n, 'openai', 'small', 1 FROM generate_series(1001, 1005) s, generate_series(1, 16) n;
"""

# Statistics of another time: autovacuum has seen a sweep that was just submitted, or a small one as all of it was out.
_STATES_THEN = {
    "analysed when all was waiting": "waiting",
    "analysed when all was queued": "queued",
    "analysed when all was leased": "leased",
}

_ANALYSE_THEN = """
    CREATE TEMP TABLE now ON COMMIT DROP AS SELECT sweep_id, no, state FROM chunks;
    UPDATE chunks SET state = %s; ANALYZE;
    UPDATE chunks c SET state = now.state FROM now WHERE c.sweep_id = now.sweep_id AND c.no = now.no
"""
_IDLE = "ALTER TABLE {table} SET (autovacuum_enabled = false)"


def spec(name: str) -> SweepSpec:
    targets = (Target(provider="openai", model="small"),)
    return SweepSpec(name=name, kind="prompt", targets=targets, chunk_size=CHUNK)


whatever_is_known = pytest.mark.parametrize("full", ["analysed", "never analysed", *_STATES_THEN], indirect=True)


@pytest.fixture
def full(database_url: str, request: pytest.FixtureRequest) -> str:
    """The address of a database with a few hundred thousand rows."""
    statements = [_IDLE.format(table=table) for table in LARGE]
    engine = connect(database_url, role="producer", pool=1)
    with transaction(engine) as cursor:
        cursor.execute(";".join(statements))
        cursor.execute(_FILL, {"spec": spec("filled").model_dump_json()})
        known = getattr(request, "param", "analysed")
        if known in _STATES_THEN:
            cursor.execute(_ANALYSE_THEN, (_STATES_THEN[known],))
        elif known == "analysed":
            cursor.execute("ANALYZE")
    engine.dispose()
    return database_url


@pytest.fixture
def plans() -> Iterator[Plans]:
    with recorded() as found:
        yield found


@pytest.fixture
def engine(full: str, plans: Plans) -> Iterator[sqlalchemy.Engine]:
    opened = connect(full, pool=2)
    yield opened
    opened.dispose()


@pytest.fixture(params=["reader", "producer"])
def reader(full: str, plans: Plans, request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """As exports and commands connect: they may read a table through, and have no need to."""
    opened = connect(full, role=request.param, pool=2)
    yield opened
    opened.dispose()


@pytest.fixture
def feed(full: str, plans: Plans) -> Iterator[Feed]:
    opened = Feed(full)
    yield opened
    opened.close()


def judged(plans: Plans, *, most: float = MOST, tables: Sequence[str] = LARGE) -> Sequence[Scan]:
    """Fails where a large table is read through; returns what was looked at."""
    scans = plans.of(tables)
    assert scans, "nothing was recorded"
    assert [scan for scan in scans if scan.how == "Seq Scan" or scan.touched > most] == []
    return scans


def take(book: LeaseBook, no: int) -> Lease:
    lease = book.take(ChunkRef(sweep_id=1005, no=no), "me")
    assert lease is not None
    return lease


def done(lease: Lease, job_id: int) -> Outcome:
    made = call(job_id, fingerprint=f"new-{job_id}")
    job = JobResult(job_id=job_id, state=JobState.DONE, fingerprint=made.fingerprint, call_id=made.id, result={})
    return Outcome(lease=lease, calls=(made,), jobs=(job,))


@whatever_is_known
def test_a_chunks_way_touches_its_own_rows_only(engine: sqlalchemy.Engine, full: str, plans: Plans) -> None:
    book = LeaseBook(engine=engine, lease_s=30)
    lease = take(book, CHUNKS - 2)

    async def chunk() -> list[int]:
        ledger = PostgresLedger(full, lease_s=30)
        try:
            await ledger.find([f"f1003-{n}" for n in range(64)], Modality.CHAT)
            await ledger.find([f"f1003-{n}" for n in range(64)], Modality.EMBEDDING)
            await ledger.missing_calls(list(range(64)))
            return [job.id for job in await ledger.jobs(lease)]
        finally:
            await ledger.close()

    jobs = asyncio.run(chunk())
    assert len(jobs) == CHUNK
    book.renew([lease])
    book.alone(lease, jobs[0])
    commit(engine, [done(lease, job_id) for job_id in jobs])
    commit(engine, [done(lease, job_id) for job_id in jobs])  # again: the slower way, which asks what is there
    book.finish(lease)
    book.finish(take(book, CHUNKS - 3))  # with pending jobs
    assert {scan.table for scan in judged(plans)} >= {"jobs", "chunks", "raw_calls"}


@whatever_is_known
def test_feeding_and_clearing_up_touch_what_is_due_only(feed: Feed, plans: Plans) -> None:
    assert feed.providers() == ["openai"]
    assert feed.queued("openai") == 32
    assert len(feed.take("openai", 8)) == 8
    assert feed.requeue_lapsed() == 1
    assert feed.requeue_lost("openai", 600) == 32
    assert len(feed.live_owners()) > 1
    assert feed.close_sweeps() == []
    feed.existing(list(range(64)))
    ask = Ask(
        call_id=7, provider="openai", model="small", sweep_id=1005, owner="w", fingerprint="f", tokens=1,
        modality=Modality.CHAT,
    )  # fmt: skip
    assert feed.book_unknown([Intent(ask=ask, age_s=100)], {}) == 1
    # A batch of a cancelled sweep's chunks is two hundred of them, with their jobs.
    judged(plans, most=closing.BATCH * CHUNK)


def test_asking_how_far_it_is_counts_nothing(reader: sqlalchemy.Engine, plans: Plans) -> None:
    assert status(reader, "filled-1005").jobs == JOBS
    assert len(sweeps(reader)) == 5
    assert calls.spent(reader, 1005) == (0, 0)
    results.report(reader, "filled-1005")
    answers.find(reader, ["f1001-1"], Modality.CHAT)
    judged(plans)


@whatever_is_known
def test_submitting_reads_no_large_table(reader: sqlalchemy.Engine, plans: Plans) -> None:
    long = "p" * 100_000  # so that there are several batches
    drafts = (JobDraft(key=f"k{n % 99}", input={"row": {"prompt": long}}) for n in range(300))
    repeated: list[str] = []
    assert submit(reader, spec("new"), drafts, on_repeat=repeated.append).jobs == 99
    assert submit(reader, spec("new"), iter(())).created is False
    assert len(repeated) == 201
    assert {scan.index for scan in plans.of(["jobs"])} == {"jobs_sweep_id_key_key"}
    assert [scan for scan in plans.of(LARGE) if scan.touched > MOST] == []


def test_commands_touch_the_sweep_that_they_name_only(reader: sqlalchemy.Engine, plans: Plans) -> None:
    control.pause(reader, "filled-1005")
    control.resume(reader, "filled-1005")
    assert control.retry(reader, "filled-1003").failed == JOBS // 5000
    assert control.cancel(reader, "filled-1005") is SweepState.CANCELLED
    judged(plans, most=JOBS)


def test_an_export_reads_a_page_at_a_time(reader: sqlalchemy.Engine, plans: Plans) -> None:
    rows = results.rows(reader, "filled-1002")
    assert [next(rows).key for _ in range(3000)][-1] == "k2999"
    # Thousands of calls may be joined by a scan as long as there are not many times more of them.
    judged(plans, most=4096, tables=("jobs",))


def test_a_plan_that_reads_a_table_through_is_noticed(reader: sqlalchemy.Engine, plans: Plans) -> None:
    with transaction(reader) as cursor:
        cursor.execute("SELECT count(*) FROM jobs WHERE attempts = 7")
    with pytest.raises(AssertionError):
        judged(plans)
