"""Legacy rows become RawCall rows, and their batches groups. Doing it again adds only what is missing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy

from core.model import JsonObject
from db.documents import dump_json, load_json
from db.engine import Cursor, transaction
from db.legacy import LegacyRun
from db.rows import clean, int_array, json_array, text_array

BATCH = "batch"

_LOCK = 0x6C6C6D76  # two runs of the migration take turns
_SAMPLES = 5  # differing rows that are shown

# A legacy row that is there already, by its fingerprint, stays as it is.
_INSERT = """
    INSERT INTO raw_calls (provider, model, modality, status, fingerprint, request_json, response_json,
        latency_ms, tokens_json, metadata_json, created_at)
    SELECT provider, model, 'chat', 'success', fingerprint, request, response, latency, tokens, metadata,
        coalesce(created_at, now())
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::json[], %s::json[], %s::float8[], %s::json[], %s::json[],
        %s::timestamptz[]) AS l (provider, model, fingerprint, request, response, latency, tokens, metadata, created_at)
    WHERE NOT EXISTS (SELECT FROM raw_calls c WHERE c.fingerprint = l.fingerprint AND c.status = 'success')
"""

_IDS = "SELECT fingerprint, id FROM raw_calls WHERE fingerprint = ANY (%s) AND status = 'success'"

_ADD_GROUP = """
    INSERT INTO groups (group_type, name, description, metadata_json)
    VALUES ('batch', %s, 'a batch of the legacy database', %s) RETURNING id
"""

_ADD_MEMBERS = """
    INSERT INTO group_members (group_id, call_id, role, position)
    SELECT l.group_id, l.call_id, 'made', l.position
    FROM unnest(%s::bigint[], %s::bigint[], %s::int[]) AS l (group_id, call_id, position)
    ON CONFLICT DO NOTHING
"""

_STORED = """
    SELECT fingerprint, provider, request_json::text, response_json::text, tokens_json::text, latency_ms,
        metadata_json::text, created_at
    FROM raw_calls WHERE fingerprint = ANY (%s) AND status = 'success'
"""

_SIZES = """
    SELECT g.name, count(m.call_id) FROM groups g LEFT JOIN group_members m ON m.group_id = g.id
    WHERE g.group_type = 'batch' AND g.name = ANY (%s) GROUP BY g.name
"""


@dataclass(slots=True, kw_only=True)
class Parity:
    """What a comparison of both databases has found. Mutable: it grows page by page."""

    legacy: int = 0
    found: int = 0
    differing: list[str] = field(default_factory=list)  # the first few, in words
    batches: Counter[str] = field(default_factory=Counter)  # sizes in the legacy database
    wrong_batches: dict[str, tuple[int, int]] = field(default_factory=dict)  # name -> (legacy, ours)
    first: datetime | None = None
    last: datetime | None = None

    @property
    def holds(self) -> bool:
        """Every legacy row is there, alike, and in its batch."""
        return self.legacy == self.found and not self.differing and not self.wrong_batches


def backfill(engine: sqlalchemy.Engine, pages: Iterable[Sequence[LegacyRun]]) -> int:
    """Writes what is missing, a page a transaction; returns how many calls became rows."""
    written = 0
    positions: Counter[str] = Counter()
    for page in pages:
        with transaction(engine) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(_INSERT, _columns(page))
            written += cursor.rowcount
            _write_batches(cursor, [run for run in page if run.batch], positions)
    return written


def compare(engine: sqlalchemy.Engine, pages: Iterable[Sequence[LegacyRun]]) -> Parity:
    """Compares every legacy row with ours: count, prompt, response, metadata, tokens, times, batches."""
    parity = Parity()
    for page in pages:
        with transaction(engine) as cursor:
            cursor.execute(_STORED, ([run.fingerprint for run in page],))
            stored = {row[0]: row[1:] for row in cursor.fetchall()}
        for run in page:
            _compare_row(parity, run, stored.get(run.fingerprint))
    with transaction(engine) as cursor:
        cursor.execute(_SIZES, ([clean(name) for name in parity.batches],))
        sizes = dict(cursor.fetchall())
    ours = {name: sizes.get(clean(name), 0) for name in parity.batches}
    parity.wrong_batches = {name: (n, ours[name]) for name, n in parity.batches.items() if ours[name] != n}
    return parity


def _columns(page: Sequence[LegacyRun]) -> tuple[str, ...]:
    return (
        text_array(clean(run.provider) for run in page),
        text_array(_model(run.metadata) for run in page),
        text_array(run.fingerprint for run in page),
        json_array({"prompt": run.prompt} for run in page),
        json_array({"text": run.response} for run in page),
        text_array(None if run.latency_ms is None else repr(run.latency_ms) for run in page),
        json_array(_tokens(run) for run in page),
        json_array(_metadata(run) for run in page),
        text_array(None if run.created_at is None else run.created_at.isoformat() for run in page),
    )


def _model(metadata: JsonObject) -> str:
    return clean(str(metadata.get("model") or metadata.get("deployment") or "unknown"))


def _tokens(run: LegacyRun) -> JsonObject | None:
    return None if run.tokens is None else {"total": run.tokens}


def _metadata(run: LegacyRun) -> JsonObject:
    return {**run.metadata, "legacy_id": run.id}


def _write_batches(cursor: Cursor, runs: Sequence[LegacyRun], positions: Counter[str]) -> None:
    if not runs:
        return
    groups = {name: _group(cursor, clean(name)) for name in dict.fromkeys(run.batch for run in runs)}
    cursor.execute(_IDS, ([run.fingerprint for run in runs],))
    ids = dict(cursor.fetchall())
    members = []
    for run in runs:
        members.append((groups[run.batch], ids[run.fingerprint], positions[run.batch]))
        positions[run.batch] += 1
    cursor.execute(_ADD_MEMBERS, tuple(int_array(column) for column in zip(*members, strict=True)))


def _group(cursor: Cursor, name: str) -> int:
    cursor.execute("SELECT id FROM groups WHERE group_type = 'batch' AND name = %s ORDER BY id LIMIT 1", (name,))
    row = cursor.fetchone()
    if row is None:
        cursor.execute(_ADD_GROUP, (name, dump_json({"legacy_batch_id": name}).decode()))
        row = cursor.fetchone()
    if row is None:
        raise AssertionError("INSERT ... RETURNING returned nothing")
    return int(row[0])


def _compare_row(parity: Parity, run: LegacyRun, stored: tuple[Any, ...] | None) -> None:
    parity.legacy += 1
    if run.batch:
        parity.batches[run.batch] += 1
    if stored is None:
        return
    parity.found += 1
    provider, request, response, tokens, latency_ms, metadata, created_at = stored
    pairs: Mapping[str, tuple[Any, Any]] = {
        "provider": (clean(run.provider), provider),
        "prompt": ({"prompt": run.prompt}, load_json(request)),
        "response": ({"text": run.response}, load_json(response)),
        "tokens": (_tokens(run), load_json(tokens)),
        "latency": (run.latency_ms, latency_ms),
        "metadata": (_metadata(run), load_json(metadata)),
        "time": (run.created_at or created_at, created_at),
    }
    wrong = [name for name, (theirs, ours) in pairs.items() if theirs != ours]
    if wrong and len(parity.differing) < _SAMPLES:
        parity.differing.append(f"row {run.id}: {', '.join(wrong)}")
    parity.first = min(parity.first or created_at, created_at)
    parity.last = max(parity.last or created_at, created_at)
