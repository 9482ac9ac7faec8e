"""One transaction for all rows of all outcomes: calls, vectors, members, jobs, tallies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import sqlalchemy

from core.model import CallRecord, JobResult, Lease, Outcome, VectorRecord
from core.values import value
from db.engine import AlreadyThere, Cursor, transaction
from db.late import Late, renumber
from db.rows import (
    CALL_COLUMNS,
    VECTOR_COLUMNS,
    call_line,
    copy,
    int_array,
    json_array,
    text_array,
    vector_stream,
)
from db.tally import TALLY_COLUMNS, Share, Tally, TallyKey, shares

SPAN_S = 10
"""Length of the time spans whose finished jobs give a sweep's rate."""

Tallies = defaultdict[TallyKey, Tally]

_HOLDS = """
    SELECT c.sweep_id, c.no, c.takes FROM chunks c
    JOIN unnest(%s::bigint[], %s::bigint[], %s::int[], %s::text[]) AS l (sweep_id, no, fence, owner)
      ON c.sweep_id = l.sweep_id AND c.no = l.no AND c.takes = l.fence AND c.lease_owner = l.owner
    WHERE c.state = 'leased' ORDER BY c.sweep_id, c.no FOR SHARE OF c
"""

_UPDATE_JOBS = """
    UPDATE jobs j SET state = r.state, fingerprint = r.fingerprint, call_id = r.call_id,
        result_json = r.result, error_json = r.error, attempts = r.attempts, cached = r.cached,
        prompt_tokens = r.prompt, completion_tokens = r.completion, cached_tokens = r.hit,
        reasoning_tokens = r.thought, cost_nano = r.nano, updated_at = now()
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::json[], %s::json[], %s::int[], %s::boolean[],
                %s::int[], %s::int[], %s::int[], %s::int[], %s::bigint[])
        AS r (id, state, fingerprint, call_id, result, error, attempts, cached, prompt, completion, hit, thought, nano)
    WHERE j.id = r.id AND j.state = 'pending'
    RETURNING j.id
"""

_ADD_MEMBERS = """
    INSERT INTO group_members (group_id, call_id, role)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[])
    ON CONFLICT DO NOTHING
"""

_STAGE_VECTORS = f"""
    CREATE TEMP TABLE IF NOT EXISTS staged_vectors ON COMMIT DELETE ROWS
    AS SELECT {VECTOR_COLUMNS} FROM embedding_vectors WITH NO DATA
"""  # noqa: S608 - only our own column names

_KEEP_VECTORS = f"""
    INSERT INTO embedding_vectors ({VECTOR_COLUMNS}) SELECT {VECTOR_COLUMNS} FROM staged_vectors
    ON CONFLICT (fingerprint) DO NOTHING
"""  # noqa: S608 - only our own column names

_INSERT_CALLS = f"""
    INSERT INTO raw_calls ({CALL_COLUMNS}) SELECT {CALL_COLUMNS} FROM staged_calls
    ON CONFLICT (id) DO NOTHING RETURNING id
"""  # noqa: S608 - only our own column names

_STAGE_CALLS = f"""
    CREATE TEMP TABLE IF NOT EXISTS staged_calls ON COMMIT DELETE ROWS
    AS SELECT {CALL_COLUMNS} FROM raw_calls WITH NO DATA
"""  # noqa: S608 - only our own column names


@value
class _Made:
    call: CallRecord
    lease: Lease


def commit(engine: sqlalchemy.Engine, outcomes: Sequence[Outcome]) -> None:
    """All rows of all outcomes, or none. Doing it twice changes nothing. Raises LedgerUnavailable, LedgerRefused."""
    try:
        with transaction(engine) as cursor:
            _write(cursor, outcomes, all_new=True)
    except AlreadyThere:
        # A call or a vector is a row already: an earlier commit whose acknowledgement was lost, a call that was
        # booked as unknown while this process stood still, two equal texts. The slower way tells new from old.
        with transaction(engine) as cursor:
            _write(cursor, outcomes, all_new=False)


def insert_calls(cursor: Cursor, calls: Iterable[CallRecord]) -> set[int]:
    """Writes those calls that are no rows yet, and returns their ids."""
    cursor.execute(_STAGE_CALLS)
    copy(cursor, "staged_calls", CALL_COLUMNS, map(call_line, calls))
    cursor.execute(_INSERT_CALLS)
    return {row[0] for row in cursor.fetchall()}


def add_members(cursor: Cursor, members: Iterable[tuple[int, int, str]]) -> None:
    """Adds (group, call, role)s that are not there yet."""
    rows = sorted(set(members))
    if rows:
        groups, calls, roles = zip(*rows, strict=True)
        cursor.execute(_ADD_MEMBERS, (int_array(groups), int_array(calls), text_array(roles)))


def add_tallies(cursor: Cursor, tallies: Mapping[TallyKey, Tally]) -> None:
    """Adds counts to the owners' rows, in one order everywhere so that no two writers deadlock."""
    for key in sorted(tallies, key=lambda k: (k.sweep_id, k.owner, k.provider, k.model)):
        tally = tallies[key]
        values = [getattr(tally, name) for name in TALLY_COLUMNS]
        cursor.execute(_ADD_TALLY, (key.sweep_id, key.owner, key.provider, key.model, *values, tally.progress))


def _write(cursor: Cursor, given: Sequence[Outcome], *, all_new: bool) -> None:
    fast = all_new and not any(outcome.adopted for outcome in given)
    late = Late(outcomes=given) if fast else renumber(cursor, given)
    outcomes = late.outcomes
    made = {call.id: _Made(call=call, lease=outcome.lease) for outcome in outcomes for call in outcome.calls}
    adopted = {
        call.id: _Made(call=call, lease=outcome.lease)
        for outcome in outcomes
        for call in outcome.adopted
        if call.id not in made
    }
    doubtful = {call_id: item for call_id, item in adopted.items() if call_id not in late.present}
    fresh = _write_calls(cursor, made, doubtful, all_new=all_new)
    vectors, are_new = _wanted_vectors(cursor, outcomes)
    _write_vectors(cursor, vectors, all_new=fast and are_new)
    add_members(cursor, _members(outcomes, fresh))
    tallies: Tallies = defaultdict(Tally)
    for item in fresh.values():
        tally = tallies[_tally_key(item.lease, item.call.provider, item.call.model)]
        tally.add_call(item.call)
        tally.add(late.taken_back.get(item.call.id))
    for lease, jobs in groupby(_write_jobs(cursor, outcomes), key=itemgetter(0)):
        tally = tallies[_tally_key(lease, lease.variant.provider, lease.variant.model)]
        for _, job in jobs:
            tally.add_job(job)
    add_tallies(cursor, tallies)


def _write_calls(
    cursor: Cursor, made: Mapping[int, _Made], adopted: Mapping[int, _Made], *, all_new: bool
) -> dict[int, _Made]:
    sure, doubtful = (made, adopted) if all_new else ({}, {**made, **adopted})
    if sure:
        copy(cursor, "raw_calls", CALL_COLUMNS, (call_line(item.call) for item in sure.values()))
    if not doubtful:
        return dict(sure)
    # Two workers may adopt the same call at the same instant: PostgreSQL says whose row it is.
    new = insert_calls(cursor, (item.call for item in doubtful.values()))
    return {**sure, **{call_id: item for call_id, item in doubtful.items() if call_id in new}}


def _wanted_vectors(cursor: Cursor, outcomes: Sequence[Outcome]) -> tuple[list[VectorRecord], bool]:
    """Those of new calls, and those of earlier calls that are no rows any more (pruned). True: none of the latter."""
    if not any(outcome.vectors for outcome in outcomes):
        return [], True
    made = {call.id for outcome in outcomes for call in outcome.calls}
    new = [vector for outcome in outcomes for vector in outcome.vectors if vector.call_id in made]
    old = {v.fingerprint: v for outcome in outcomes for v in outcome.vectors if v.call_id not in made}
    if old:
        cursor.execute("SELECT fingerprint FROM embedding_vectors WHERE fingerprint = ANY (%s)", (list(old),))
        for (fingerprint,) in cursor.fetchall():
            del old[fingerprint]
    return [*new, *old.values()], not old


def _write_vectors(cursor: Cursor, vectors: Sequence[VectorRecord], *, all_new: bool) -> None:
    if not vectors:
        return
    table = "embedding_vectors"
    if not all_new:
        table = "staged_vectors"
        cursor.execute(_STAGE_VECTORS)
    # In one order everywhere: two writers of the same texts cannot wait for each other in a ring.
    unique = {record.fingerprint: record for record in reversed(vectors)}
    stream = vector_stream(unique[fingerprint] for fingerprint in sorted(unique))
    cursor.copy_expert(f"COPY {table} ({VECTOR_COLUMNS}) FROM STDIN (FORMAT binary)", stream)
    if not all_new:
        cursor.execute(_KEEP_VECTORS)


def _members(outcomes: Sequence[Outcome], fresh: Mapping[int, _Made]) -> Iterable[tuple[int, int, str]]:
    for item in fresh.values():
        yield item.lease.group_id, item.call.id, "made"
    for outcome in outcomes:
        for job in outcome.jobs:
            if job.cached and job.call_id is not None and job.call_id not in fresh:
                yield outcome.lease.group_id, job.call_id, "cached"


def _write_jobs(cursor: Cursor, outcomes: Sequence[Outcome]) -> list[tuple[Lease, JobResult]]:
    held = _held(cursor, [outcome.lease for outcome in outcomes if outcome.jobs])
    rows: dict[int, tuple[Lease, JobResult, Share]] = {}
    for outcome in outcomes:
        if outcome.jobs and _lease_key(outcome.lease) in held:
            for job, share in shares(outcome):
                rows.setdefault(job.job_id, (outcome.lease, job, share))
    if not rows:
        return []
    jobs = [job for _, job, _ in rows.values()]
    parts = [share for _, _, share in rows.values()]
    cursor.execute(
        _UPDATE_JOBS,
        (
            int_array(rows),
            text_array([job.state for job in jobs]),
            text_array([job.fingerprint for job in jobs]),
            int_array([job.call_id for job in jobs]),
            json_array([job.result for job in jobs]),
            json_array([job.error for job in jobs]),
            int_array([job.attempts for job in jobs]),
            text_array(["t" if job.cached else "f" for job in jobs]),
            int_array([part.usage.prompt for part in parts]),
            int_array([part.usage.completion for part in parts]),
            int_array([part.usage.cached for part in parts]),
            int_array([part.usage.reasoning for part in parts]),
            int_array([part.nano for part in parts]),
        ),
    )
    return [rows[job_id][:2] for (job_id,) in cursor.fetchall()]


def _held(cursor: Cursor, leases: Iterable[Lease]) -> set[tuple[int, int, int]]:
    """The leases that are still their owners', locked: a takeover waits until this transaction ends."""
    wanted = {_lease_key(lease): lease for lease in leases}
    if not wanted:
        return set()
    sweeps, numbers, fences = zip(*wanted, strict=True)
    owners = text_array(lease.owner for lease in wanted.values())
    cursor.execute(_HOLDS, (int_array(sweeps), int_array(numbers), int_array(fences), owners))
    return set(cursor.fetchall())


def _lease_key(lease: Lease) -> tuple[int, int, int]:
    return lease.ref.sweep_id, lease.ref.no, lease.fence


def _tally_key(lease: Lease, provider: str, model: str) -> TallyKey:
    return TallyKey(sweep_id=lease.ref.sweep_id, owner=lease.owner, provider=provider, model=model)


def _add_tally_statement() -> str:
    span = f"floor(extract(epoch FROM now()) / {SPAN_S})::bigint"
    added = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in TALLY_COLUMNS)
    marks = ", ".join(["%s"] * len(TALLY_COLUMNS))
    return f"""
        INSERT INTO sweep_tallies AS t (sweep_id, owner, provider, model, {", ".join(TALLY_COLUMNS)}, span_jobs, span)
        VALUES (%s, %s, %s, %s, {marks}, %s, {span})
        ON CONFLICT (sweep_id, owner, provider, model) DO UPDATE SET {added}, span = excluded.span,
            span_jobs = excluded.span_jobs + CASE WHEN t.span = excluded.span THEN t.span_jobs ELSE 0 END,
            span_before = CASE t.span WHEN excluded.span THEN t.span_before
                                      WHEN excluded.span - 1 THEN t.span_jobs ELSE 0 END,
            updated_at = now()
    """  # noqa: S608 - only our own column names


_ADD_TALLY = _add_tally_statement()
