"""How far a sweep is, from a few rows of counts: as fast at 10^7 jobs as at ten."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy

from core.errors import InputError
from core.model import SweepState, Usage
from db.commit import SPAN_S
from db.engine import Cursor, transaction
from db.rows import usd
from db.tally import TALLY_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProgress:
    """One provider's part of a sweep. ``queue``: chunks whose message is out."""

    calls: int = 0
    failed: int = 0  # calls
    queue: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStatus:
    """A sweep at a glance. Money in USD; None where no price is known, or no upper bound."""

    sweep_id: int
    name: str
    kind: str
    state: SweepState
    reason: str
    jobs: int
    pending: int
    done: int
    cached: int  # part of done
    fallback: int
    failed: int
    cancelled: int
    calls: int
    calls_failed: int
    calls_unknown: int
    tokens: Usage
    cost_usd: float | None
    cost_usd_max: float | None
    cost_unknown: int  # calls whose price nobody knows
    budget_usd: float | None
    rate_per_s: float  # jobs that reached a final state, over the last ten to twenty seconds
    eta_s: float | None
    created_at: datetime
    finished_at: datetime | None
    problems: tuple[Mapping[str, Any], ...] = ()
    providers: Mapping[str, ProviderProgress] = field(default_factory=dict)


_NOW = f"floor(extract(epoch FROM now()) / {SPAN_S})::bigint"

# Jobs of the current span and of the one before, over the time since that one began.
_RECENT = f"""
    sum(CASE t.span WHEN {_NOW} THEN span_jobs + span_before WHEN {_NOW} - 1 THEN span_jobs ELSE 0 END)
    / ({SPAN_S} + extract(epoch FROM now()) - {SPAN_S} * {_NOW})
"""

_STATUS = f"""
    SELECT s.id, g.name, s.kind, s.state, s.reason, s.jobs_total, s.budget_usd::float8, s.created_at, s.finished_at,
        s.problems_json, c.rate, {", ".join(f"c.{name}" for name in TALLY_COLUMNS)}
    FROM sweeps s JOIN groups g ON g.id = s.group_id
    CROSS JOIN LATERAL (
        SELECT {", ".join(f"coalesce(sum(t.{name}), 0)::bigint AS {name}" for name in TALLY_COLUMNS)},
            coalesce({_RECENT}, 0)::float8 AS rate
        FROM sweep_tallies t WHERE t.sweep_id = s.id
    ) c
"""  # noqa: S608 - only our own column names

_PROVIDERS = """
    SELECT provider, sum(calls)::bigint, sum(calls_failed)::bigint FROM sweep_tallies WHERE sweep_id = %s GROUP BY 1
"""

# The queue's depth is bounded, whatever the sweep's size.
_QUEUES = """
    SELECT p.name, (
        SELECT count(*) FROM chunks c WHERE c.state = 'queued' AND c.provider = p.name AND c.sweep_id = %(sweep_id)s
    ) FROM (
        SELECT DISTINCT target ->> 'provider' AS name FROM sweeps, json_array_elements(spec_json -> 'targets') AS target
        WHERE id = %(sweep_id)s
    ) p
"""


def status(engine: sqlalchemy.Engine, name: str) -> SweepStatus:
    """One sweep. Raises InputError for an unknown name, which lists similar ones."""
    with transaction(engine) as cursor:
        cursor.execute(_STATUS + " WHERE g.group_type = 'sweep' AND g.name = %s", (name,))
        row = cursor.fetchone()
        if row is None:
            raise unknown_sweep(cursor, name)
        return _status(row, _providers(cursor, row[0]))


def sweeps(engine: sqlalchemy.Engine) -> list[SweepStatus]:
    """All sweeps, the newest first, without their providers."""
    with transaction(engine) as cursor:
        cursor.execute(_STATUS + " ORDER BY s.id DESC")
        return [_status(row, {}) for row in cursor.fetchall()]


def unknown_sweep(cursor: Cursor, name: str) -> InputError:
    """What to say about a name that no sweep has."""
    cursor.execute("SELECT name FROM groups WHERE group_type = 'sweep' ORDER BY id DESC LIMIT 10000")
    names = [found for (found,) in cursor.fetchall()]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return InputError(f"no sweep is called {name!r}", hint=f"did you mean {', '.join(near)}?")
    return InputError(
        f"no sweep is called {name!r}", hint="`sweep ls` lists them" if names else "there is no sweep yet"
    )


def _providers(cursor: Cursor, sweep_id: int) -> dict[str, ProviderProgress]:
    cursor.execute(_PROVIDERS, (sweep_id,))
    counted = {provider: (calls, failed) for provider, calls, failed in cursor.fetchall()}
    cursor.execute(_QUEUES, {"sweep_id": sweep_id})
    queues = dict(cursor.fetchall())
    return {
        provider: ProviderProgress(
            calls=counted.get(provider, (0, 0))[0],
            failed=counted.get(provider, (0, 0))[1],
            queue=queues.get(provider, 0),
        )
        for provider in sorted({*counted, *queues})
    }


def _status(row: tuple[Any, ...], providers: Mapping[str, ProviderProgress]) -> SweepStatus:
    sweep_id, name, kind, state, reason, jobs, budget, created_at, finished_at, problems, rate = row[:11]
    sums = dict(zip(TALLY_COLUMNS, row[11:], strict=True))
    pending = jobs - sums["done"] - sums["fallback"] - sums["failed"] - sums["cancelled"]
    running = state == SweepState.RUNNING
    priced = sums["calls"] > sums["cost_unknown"] or not sums["calls"]
    return SweepStatus(
        sweep_id=sweep_id,
        name=name,
        kind=kind,
        state=SweepState(state),
        reason=reason,
        jobs=jobs,
        pending=pending,
        done=sums["done"],
        cached=sums["cached"],
        fallback=sums["fallback"],
        failed=sums["failed"],
        cancelled=sums["cancelled"],
        calls=sums["calls"],
        calls_failed=sums["calls_failed"],
        calls_unknown=sums["calls_unknown"],
        tokens=Usage(
            prompt=sums["prompt_tokens"],
            completion=sums["completion_tokens"],
            cached=sums["cached_tokens"],
            reasoning=sums["reasoning_tokens"],
        ),
        cost_usd=usd(sums["cost_nano"]) if priced else None,
        cost_usd_max=usd(sums["cost_max_nano"]) if not sums["cost_unknown"] else None,
        cost_unknown=sums["cost_unknown"],
        budget_usd=budget,
        rate_per_s=round(rate, 3),
        eta_s=round(pending / rate, 1) if running and rate > 0 and pending else None,
        created_at=created_at,
        finished_at=finished_at,
        problems=tuple(problems),
        providers=providers,
    )
