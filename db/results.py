"""What a sweep has brought: its rows in input order, and what they cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from core.model import JobState, ResultRow, SweepState, Usage
from db.documents import load_json
from db.engine import transaction
from db.progress import status, unknown_sweep
from db.rows import read_vector, usd
from db.specs import Plan, load_plan

_PAGE = 2048  # jobs that are held at once; fewer with vectors of thousands of dimensions
_VECTOR_PAGE = 512

# Chunks of one block of inputs stand together, ids ascend in input order: a page is a few blocks, sorted by id.
_ROWS = """
    SELECT j.id, j.chunk_no, j.key, j.input_json::text, j.state, j.result_json::text, j.error_json::text,
        c.provider, c.model, j.cached, j.attempts, j.prompt_tokens, j.completion_tokens, j.cached_tokens,
        j.reasoning_tokens, j.cost_nano, j.call_id, {vector}
    FROM jobs j LEFT JOIN raw_calls c ON c.id = j.call_id {join}
    WHERE j.sweep_id = %s AND j.chunk_no >= %s AND j.chunk_no < %s ORDER BY j.id
"""
_PLAIN = _ROWS.format(vector="NULL", join="")
_WITH_VECTORS = _ROWS.format(
    vector="vector_send(v.vector)", join="LEFT JOIN embedding_vectors v ON v.fingerprint = j.fingerprint"
)

_LINES = """
    SELECT provider, model, sum(done)::bigint, sum(cached)::bigint, sum(fallback)::bigint, sum(failed)::bigint,
        sum(calls)::bigint, sum(calls_failed)::bigint, sum(calls_unknown)::bigint, sum(prompt_tokens)::bigint,
        sum(completion_tokens)::bigint, sum(cached_tokens)::bigint, sum(reasoning_tokens)::bigint,
        sum(cost_nano)::bigint, sum(cost_max_nano)::bigint, sum(cost_unknown)::bigint
    FROM sweep_tallies WHERE sweep_id = %s GROUP BY provider, model ORDER BY provider, model
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One provider's and model's part. ``cost_usd`` None: unknown price; ``cost_usd_max`` None: no upper bound."""

    provider: str
    model: str
    done: int
    cached: int
    fallback: int
    failed: int
    calls: int
    calls_failed: int
    calls_unknown: int
    tokens: Usage
    cost_usd: float | None
    cost_usd_max: float | None
    cost_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Tokens and money of a sweep. What was really spent lies between ``cost_usd`` and ``cost_usd_max``."""

    name: str
    state: SweepState
    jobs: int
    made: int  # jobs that a call of this sweep answered
    cached: int  # jobs that an earlier call answered
    calls: int
    calls_unknown: int
    tokens: Usage
    cost_usd: float | None
    cost_usd_max: float | None
    budget_usd: float | None
    lines: Sequence[ReportLine]


def rows(engine: sqlalchemy.Engine, name: str, *, vectors: bool = False) -> Iterator[ResultRow]:
    """All jobs in input order, a page in memory at a time. Raises InputError for an unknown name."""
    plan = plan_of(engine, name)
    width = len(plan.variants)
    block = plan.chunk_size * width
    step = width * max(1, (_VECTOR_PAGE if vectors else _PAGE) // block)
    blocks = -(-plan.jobs_total // block) + len(plan.waves)  # a wave may end in the middle of a block
    return _pages(engine, plan, range(0, blocks * width, step), vectors=vectors)


def report(engine: sqlalchemy.Engine, name: str) -> Report:
    """Tokens and cost by provider and model, from the counts. Raises InputError for an unknown name."""
    now = status(engine, name)
    with transaction(engine) as cursor:
        cursor.execute(_LINES, (now.sweep_id,))
        lines = [_line(row) for row in cursor.fetchall()]
    return Report(
        name=now.name,
        state=now.state,
        jobs=now.jobs,
        made=now.done - now.cached,
        cached=now.cached,
        calls=now.calls,
        calls_unknown=now.calls_unknown,
        tokens=now.tokens,
        cost_usd=now.cost_usd,
        cost_usd_max=now.cost_usd_max,
        budget_usd=now.budget_usd,
        lines=lines,
    )


def plan_of(engine: sqlalchemy.Engine, name: str) -> Plan:
    """A sweep as its producer gave it. Raises InputError for an unknown name."""
    with transaction(engine) as cursor:
        cursor.execute(
            "SELECT s.id FROM sweeps s JOIN groups g ON g.id = s.group_id WHERE g.group_type = 'sweep' AND g.name = %s",
            (name,),
        )
        row = cursor.fetchone()
        if row is None:
            raise unknown_sweep(cursor, name)
        return load_plan(cursor, row[0])


def _pages(engine: sqlalchemy.Engine, plan: Plan, starts: range, *, vectors: bool) -> Iterator[ResultRow]:
    # One short transaction a page: a slow consumer holds no snapshot and no connection.
    for first in starts:
        with transaction(engine) as cursor:
            cursor.execute(_WITH_VECTORS if vectors else _PLAIN, (plan.sweep_id, first, first + starts.step))
            page = cursor.fetchall()
        yield from (_row(plan, fields) for fields in page)


def _row(plan: Plan, fields: tuple[Any, ...]) -> ResultRow:
    job_id, chunk_no, key, given, state, result, error, provider, model, cached, attempts = fields[:11]
    prompt, completion, hit, reasoning, nano, call_id, wire = fields[11:]
    variant = plan.variant(chunk_no)
    return ResultRow(
        job_id=job_id,
        key=key,
        input=load_json(given),
        state=JobState(state),
        result=load_json(result),
        error=load_json(error),
        provider=provider or variant.provider,
        model=model or variant.model,
        params=variant.params,
        sample=variant.sample,
        cached=cached,
        attempts=attempts,
        tokens=Usage(prompt=prompt, completion=completion, cached=hit, reasoning=reasoning),
        cost_usd=None if nano is None else usd(nano),
        call_id=call_id,
        vector=None if wire is None else read_vector(wire),
    )


def _line(row: tuple[Any, ...]) -> ReportLine:
    provider, model, done, cached, fallback, failed, calls, calls_failed, calls_unknown = row[:9]
    prompt, completion, hit, reasoning, cost, bound, unknown = row[9:]
    return ReportLine(
        provider=provider,
        model=model,
        done=done,
        cached=cached,
        fallback=fallback,
        failed=failed,
        calls=calls,
        calls_failed=calls_failed,
        calls_unknown=calls_unknown,
        tokens=Usage(prompt=prompt, completion=completion, cached=hit, reasoning=reasoning),
        cost_usd=usd(cost) if calls > unknown or not calls else None,
        cost_usd_max=None if unknown else usd(bound),
        cost_unknown=unknown,
    )
