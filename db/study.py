"""Questions about all calls, whatever sweep they belong to. Plain rows; drawing is somebody else's."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy

from core.errors import InputError
from core.model import CallStatus, JsonObject, Modality
from db.answers import answer_text
from db.documents import dump_json, load_json
from db.engine import Cursor, transaction
from db.rows import clean

Bucket = Literal["minute", "hour", "day"]
BUCKETS: tuple[Bucket, ...] = ("minute", "hour", "day")

_TOKENS = "(tokens_json ->> 'total')::numeric"

_NUMBERS = f"""
    count(*), count(*) FILTER (WHERE status = 'success'), count(*) FILTER (WHERE status = 'failed'),
    coalesce(sum({_TOKENS}), 0)::bigint, avg({_TOKENS})::float8,
    avg(latency_ms)::float8, sum(cost_usd)::float8, count(*) FILTER (WHERE cost_usd IS NULL)
"""

_COMPARE = f"""
    SELECT provider, model, {_NUMBERS},
        percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
    FROM raw_calls WHERE %(since)s::timestamptz IS NULL OR created_at >= %(since)s
    GROUP BY provider, model ORDER BY count(*) DESC, provider, model
"""  # noqa: S608 - a constant of ours

_SERIES = f"""
    SELECT date_trunc(%(bucket)s, created_at, 'UTC'), provider, {_NUMBERS}
    FROM raw_calls WHERE created_at >= now() - %(span)s AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - a constant of ours

_CALL = f"""
    SELECT id, provider, model, modality, status, request_json::text, response_json::text, metadata_json::text,
        {_TOKENS}::bigint, latency_ms, cost_usd::float8, created_at FROM raw_calls
"""  # noqa: S608 - a constant of ours

_RECENT = (
    _CALL
    + " WHERE %(provider)s::text IS NULL OR provider = %(provider)s ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
)

# Newest first along an index, so that a search ends as soon as it has found enough.
_SEARCH = (
    _CALL + r" WHERE request_json::text ILIKE ANY (%(patterns)s) ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
)

_SUMMARY = f"""
    SELECT provider, count(*), coalesce(sum({_TOKENS}), 0)::bigint, sum(cost_usd)::float8
    FROM raw_calls GROUP BY provider ORDER BY provider
"""  # noqa: S608 - a constant of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Counts and means of some calls. Times in milliseconds, money in USD; None: nobody knows."""

    calls: int
    succeeded: int
    failed: int
    tokens: int
    mean_tokens: float | None
    mean_latency_ms: float | None
    cost_usd: float | None
    cost_unknown: int  # calls without a known price

    @property
    def success_rate(self) -> float:
        return self.succeeded / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one provider's model did."""

    provider: str
    model: str
    numbers: Numbers
    median_latency_ms: float | None
    p95_latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One provider's calls in one time bucket, which begins at ``start`` (UTC)."""

    start: datetime
    provider: str
    numbers: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A call as a list shows it. ``prompt`` is the last user message, or what was embedded."""

    id: int
    provider: str
    model: str
    modality: Modality
    status: CallStatus
    prompt: str
    response: str
    tokens: int | None
    latency_ms: float | None
    cost_usd: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything at a glance; ``providers`` has calls, tokens and USD of each."""

    calls: int
    tokens: int
    cost_usd: float | None
    providers: dict[str, tuple[int, int, float | None]]


def compare(engine: sqlalchemy.Engine, *, since: datetime | None = None) -> list[Comparison]:
    """All providers and models side by side, the most used first."""
    with transaction(engine) as cursor:
        cursor.execute(_COMPARE, {"since": since})
        return [
            Comparison(
                provider=row[0],
                model=row[1],
                numbers=Numbers(**dict(zip(Numbers.__slots__, row[2:10], strict=True))),
                median_latency_ms=row[10],
                p95_latency_ms=row[11],
            )
            for row in cursor.fetchall()
        ]


def recent(engine: sqlalchemy.Engine, *, limit: int = 50, provider: str | None = None) -> list[CallRow]:
    """The newest calls, the newest first."""
    with transaction(engine) as cursor:
        cursor.execute(_RECENT, {"limit": limit, "provider": provider})
        return _call_rows(cursor)


def series(
    engine: sqlalchemy.Engine, *, days: float = 7, bucket: Bucket = "day", provider: str | None = None
) -> list[Point]:
    """Calls by time bucket and provider, the oldest first. Raises InputError."""
    if bucket not in BUCKETS:
        raise InputError(f"{bucket!r} is no time bucket", hint=f"one of {', '.join(BUCKETS)}")
    if not 0 < days <= 36_500:
        raise InputError(f"{days} days back is no time span", hint="more than 0, at most 36500")
    with transaction(engine) as cursor:
        cursor.execute(_SERIES, {"bucket": bucket, "span": timedelta(days=days), "provider": provider})
        return [
            Point(start=row[0], provider=row[1], numbers=Numbers(**dict(zip(Numbers.__slots__, row[2:], strict=True))))
            for row in cursor.fetchall()
        ]


def search(engine: sqlalchemy.Engine, term: str, *, limit: int = 100) -> list[CallRow]:
    """Calls whose request contains a text, upper and lower case alike, the newest first. Raises InputError."""
    if not term.strip():
        raise InputError("there is nothing to search for")
    with transaction(engine) as cursor:
        cursor.execute(_SEARCH, {"patterns": _patterns(term), "limit": limit})
        return _call_rows(cursor)


def summary(engine: sqlalchemy.Engine) -> Summary:
    """Totals over all calls."""
    with transaction(engine) as cursor:
        cursor.execute(_SUMMARY)
        providers = {name: (calls, tokens, cost) for name, calls, tokens, cost in cursor.fetchall()}
    costs = [cost for _, _, cost in providers.values() if cost is not None]
    return Summary(
        calls=sum(calls for calls, _, _ in providers.values()),
        tokens=sum(tokens for _, tokens, _ in providers.values()),
        cost_usd=sum(costs) if costs else None,
        providers=providers,
    )


def _patterns(term: str) -> list[str]:
    # The stored text is JSON, written by us or by an ORM that escapes all but ASCII: what the term looks like
    # in either, and then what ILIKE would read as a wildcard.
    stored = {dump_json(clean(term)).decode()[1:-1], json.dumps(clean(term))[1:-1]}
    escaped = (text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for text in stored)
    return [f"%{text}%" for text in sorted(escaped)]


def _call_rows(cursor: Cursor) -> list[CallRow]:
    return [_call_row(row) for row in cursor.fetchall()]


def _call_row(row: tuple[Any, ...]) -> CallRow:
    call_id, provider, model, modality, status, request, response, metadata = row[:8]
    tokens, latency_ms, cost_usd, created_at = row[8:]
    return CallRow(
        id=call_id,
        provider=provider,
        model=model,
        modality=Modality(modality),
        status=CallStatus(status),
        prompt=_prompt(load_json(request)),
        response=answer_text(load_json(response), load_json(metadata))[0],
        tokens=tokens,
        latency_ms=latency_ms,
        cost_usd=cost_usd,
        created_at=created_at,
    )


def _prompt(request: JsonObject) -> str:
    messages = request.get("messages")
    if isinstance(messages, list):
        users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
        return _text(users[-1].get("content")) if users else ""
    return _text(next((request[key] for key in ("prompt", "input", "text") if key in request), ""))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else dump_json(content).decode()
