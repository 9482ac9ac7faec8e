"""The table ``inference_runs`` of a database that came before this one, read only and page by page."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from core.errors import InputError
from core.model import JsonObject
from db.documents import dump_json, load_json
from db.foreign import describe_error, open_engine, start_deadline

TABLE = "inference_runs"

_PAGE = 1000
_TIMEOUT_S = 300.0
_NEEDED = ("id", "prompt", "response", "provider")
_OPTIONAL = ("tokens", "latency_ms", "metadata", "metadata_json", "batch_id", "created_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyRun:
    """One row, with its times in UTC. ``batch`` empty: it belongs to none."""

    id: int
    prompt: str
    response: str
    provider: str
    tokens: int | None
    latency_ms: float | None
    batch: str
    created_at: datetime | None
    metadata: JsonObject = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What makes it the same row at the next run; no request has such a fingerprint."""
        when = self.created_at.isoformat() if self.created_at else ""
        return hashlib.sha256(dump_json([TABLE, self.id, self.provider, self.prompt, self.response, when])).hexdigest()


class LegacyDatabase:
    """An open legacy database."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._columns = _columns(connection)

    def pages(self) -> Iterator[list[LegacyRun]]:
        """All rows by id, a thousand at a time."""
        table = sa.table(TABLE, *(sa.column(name) for name in self._columns))
        last: int | None = None
        while True:
            query = sa.select(table).order_by(table.c.id).limit(_PAGE)
            page = self._all(query if last is None else query.where(table.c.id > last))
            if not page:
                return
            yield [_run(row) for row in page]
            last = page[-1]["id"]

    def count(self) -> int:
        """How many rows there are."""
        query = sa.select(sa.func.count().label("rows")).select_from(sa.table(TABLE))
        return int(self._all(query)[0]["rows"])

    def _all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        start_deadline(self._connection, _TIMEOUT_S)
        try:
            return [dict(row) for row in self._connection.execute(query).mappings()]
        except sa_exc.SQLAlchemyError as exc:
            raise InputError(f"the legacy database: {describe_error(exc)[0]}") from exc


@contextmanager
def open_legacy(url: str) -> Iterator[LegacyDatabase]:
    """Opens LEGACY_DATABASE_URL. Raises InputError: no such database, or nothing of ours in it."""
    if not url:
        raise InputError("LEGACY_DATABASE_URL is not set", hint="for example sqlite:///study_query_llm.db")
    with open_engine(url, timeout_s=_TIMEOUT_S) as connection:
        yield LegacyDatabase(connection)


def _columns(connection: sa.Connection) -> list[str]:
    inspector = sa.inspect(connection)
    if not inspector.has_table(TABLE):
        raise InputError(f"the legacy database has no table {TABLE}", hint="check LEGACY_DATABASE_URL")
    found = {column["name"] for column in inspector.get_columns(TABLE)}
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise InputError(f"the legacy table {TABLE} lacks {', '.join(missing)}")
    return [name for name in (*_NEEDED, *_OPTIONAL) if name in found]


def _run(row: dict[str, Any]) -> LegacyRun:
    metadata = _metadata(row.get("metadata") or row.get("metadata_json"), row["id"])
    batch = row.get("batch_id") or metadata.get("batch_id") or ""
    return LegacyRun(
        id=row["id"],
        prompt=row["prompt"] or "",
        response=row["response"] or "",
        provider=row["provider"] or "",
        tokens=row.get("tokens"),
        latency_ms=row.get("latency_ms"),
        batch=str(batch),
        created_at=_utc(row.get("created_at"), row["id"]),
        metadata=metadata,
    )


def _metadata(value: Any, row_id: int) -> JsonObject:
    try:
        parsed = load_json(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise InputError(f"the legacy row {row_id} has metadata that is no JSON") from exc
    if parsed is None:
        return {}
    return parsed if isinstance(parsed, dict) else {"value": parsed}


def _utc(value: Any, row_id: int) -> datetime | None:
    # SQLite keeps times as text; the legacy program wrote UTC without saying so.
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise InputError(f"the legacy row {row_id} has the time {value!r}, which is none") from exc
    if not isinstance(when, datetime):
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
