"""Vectors and the jobs that they belong to: what does not fit together, and what nobody needs any more."""

from dataclasses import dataclass

import sqlalchemy

from core.errors import InputError
from db.engine import Cursor, transaction
from db.progress import unknown_sweep

_WITHOUT_CALL = """
    SELECT count(*) FROM embedding_vectors v
    WHERE NOT EXISTS (SELECT FROM raw_calls c WHERE c.id = v.call_id AND c.status = 'success')
"""
_UNUSABLE = """
    SELECT count(*) FROM embedding_vectors v
    WHERE NOT (v.norm > 0 AND v.norm < 'infinity') OR v.dimension <> vector_dims(v.vector)
"""
_WITHOUT_VECTOR = """
    SELECT count(*) FROM jobs j JOIN raw_calls c ON c.id = j.call_id AND c.modality = 'embedding'
    JOIN sweeps s ON s.id = j.sweep_id JOIN groups g ON g.id = s.group_id
    WHERE j.state = 'done' AND g.metadata_json ->> 'vectors_pruned_at' IS NULL
        AND NOT EXISTS (SELECT FROM embedding_vectors v WHERE v.fingerprint = j.fingerprint)
"""

# While a sweep is open, a vector may wait for its job: the worker that was to finish the job has died.
_UNUSED = """
    FROM embedding_vectors v
    WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.fingerprint = v.fingerprint)
        AND NOT EXISTS (SELECT FROM group_members m JOIN sweeps s ON s.group_id = m.group_id
                        WHERE m.call_id = v.call_id AND s.state IN ('running', 'paused', 'budget_exhausted'))
"""
_ONLY_OF_SWEEP = """
    FROM embedding_vectors v
    WHERE EXISTS (SELECT FROM jobs j WHERE j.fingerprint = v.fingerprint AND j.sweep_id = %(sweep)s)
        AND NOT EXISTS (SELECT FROM jobs j WHERE j.fingerprint = v.fingerprint AND j.sweep_id <> %(sweep)s)
"""
_MARK = """
    UPDATE groups SET metadata_json =
        (metadata_json::jsonb || jsonb_build_object('vectors_pruned_at', now()))::json
    WHERE id = (SELECT group_id FROM sweeps WHERE id = %(sweep)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Counts of what should not be. ``unused`` alone is no fault: vectors that no job needs any more."""

    without_call: int
    without_vector: int  # finished jobs whose vector is gone
    unusable: int  # norm or dimension that cannot be
    unused: int

    @property
    def sound(self) -> bool:
        return not (self.without_call or self.without_vector or self.unusable)


def orphans(engine: sqlalchemy.Engine) -> Orphans:
    """The audit for `sweep doctor`. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        return Orphans(
            without_call=_count(cursor, _WITHOUT_CALL),
            without_vector=_count(cursor, _WITHOUT_VECTOR),
            unusable=_count(cursor, _UNUSABLE),
            unused=_count(cursor, f"SELECT count(*) {_UNUSED}"),
        )


def prune(engine: sqlalchemy.Engine, *, sweep: str | None = None, dry_run: bool = False) -> int:
    """Deletes vectors that no job needs, or those that only the jobs of ``sweep`` need; returns how many.

    For a corpus that was embedded anew under another name: what its new sweep shares with the old one stays.
    Raises InputError for a sweep that is unknown or still open, and LedgerUnavailable.
    """
    with transaction(engine) as cursor:
        if sweep is None:
            return (
                _count(cursor, f"SELECT count(*) {_UNUSED}") if dry_run else _delete(cursor, f"DELETE {_UNUSED}", None)
            )
        sweep_id = _finished(cursor, sweep)
        if dry_run:
            return _count(cursor, f"SELECT count(*) {_ONLY_OF_SWEEP}", sweep_id)
        deleted = _delete(cursor, f"DELETE {_ONLY_OF_SWEEP}", sweep_id)
        cursor.execute(_MARK, {"sweep": sweep_id})
        return deleted


def _finished(cursor: Cursor, name: str) -> int:
    cursor.execute(
        "SELECT s.id, s.state FROM sweeps s JOIN groups g ON g.id = s.group_id"
        " WHERE g.group_type = 'sweep' AND g.name = %s",
        (name,),
    )
    row = cursor.fetchone()
    if row is None:
        raise unknown_sweep(cursor, name)
    if row[1] not in {"done", "cancelled"}:
        raise InputError(
            f"sweep {name} is still {row[1]}", hint="its vectors can be pruned once it is done or cancelled"
        )
    return int(row[0])


def _count(cursor: Cursor, statement: str, sweep_id: int | None = None) -> int:
    cursor.execute(statement, {"sweep": sweep_id})
    ((count,),) = cursor.fetchall()
    return int(count)


def _delete(cursor: Cursor, statement: str, sweep_id: int | None) -> int:
    cursor.execute(statement, {"sweep": sweep_id})
    return int(cursor.rowcount)
