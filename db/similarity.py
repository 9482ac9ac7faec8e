"""Nearest neighbours among the stored vectors, by cosine.

A space is all vectors of one model and dimension; they are comparable with each other and with nothing else. Each space
has an HNSW index of its own (``db.vector_index``); where it has none yet, the same query is answered by a full scan.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy

from core.errors import InputError
from core.model import Vector
from db.engine import Cursor, transaction
from db.progress import unknown_sweep
from db.vector_index import VectorType, spaces_of, vector_type

MOST_HITS = 1_000

_EXCERPT = 240  # characters
EXACT_BELOW = 10_000
"""So few vectors, in the space or left by the filter, are all measured: as fast as an index, and nothing is missed."""

_LOOKED_AT = 1_000
"""Candidates of an index scan, the most that pgvector takes: ten milliseconds, for a search that a person waits for."""

# With a filter, the scan goes on until k rows passed it or none is left: pgvector's README, "Iterative Index Scans".
# The memory is for the filter: without it, a large sweep's fingerprints would be looked up row by row, not hashed.
_SETTINGS = """
    SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true),
        set_config('hnsw.max_scan_tuples', '2147483647', true), set_config('hnsw.scan_mem_multiplier', '2', true),
        set_config('work_mem', '256MB', true)
"""

_NEAREST = """
    SELECT v.fingerprint, v.call_id, 1 - ({measured} <=> %(query)s::{cast}) AS score
    FROM embedding_vectors v
    WHERE v.model = %(model)s AND v.dimension = {dimension} {only}
    ORDER BY {measured} <=> %(query)s::{cast} LIMIT %(k)s
"""

# IS TRUE keeps the planner from turning the filter into a join, which would lose the index's order.
_ONLY = """
    AND (EXISTS (SELECT FROM jobs j WHERE j.fingerprint = v.fingerprint AND j.sweep_id = ANY (%(sweeps)s))) IS TRUE
"""

_NEAREST_OF_FEW = """
    SELECT v.fingerprint, v.call_id, 1 - (v.vector <=> %(query)s::vector) AS score
    FROM (SELECT DISTINCT fingerprint FROM jobs
          WHERE sweep_id = ANY (%(sweeps)s) AND fingerprint IS NOT NULL OFFSET 0) wanted
    JOIN embedding_vectors v USING (fingerprint)
    WHERE v.model = %(model)s AND v.dimension = %(dimension)s
    ORDER BY v.vector <=> %(query)s::vector, v.fingerprint LIMIT %(k)s
"""

_FEW_JOBS = """
    SELECT count(*) FROM (
        SELECT FROM jobs WHERE sweep_id = ANY (%(sweeps)s) AND fingerprint IS NOT NULL LIMIT %(enough)s
    ) found
"""
_FEW_VECTORS = """
    SELECT count(*) FROM (
        SELECT FROM embedding_vectors WHERE model = %(model)s AND dimension = %(dimension)s LIMIT %(enough)s
    ) found
"""

_JOBS = """
    SELECT DISTINCT ON (j.fingerprint) j.fingerprint, j.key, g.name, s.kind,
        j.input_json ->> 'text', j.input_json ->> 'title'
    FROM jobs j JOIN sweeps s ON s.id = j.sweep_id JOIN groups g ON g.id = s.group_id
    WHERE j.fingerprint = ANY (%(prints)s) AND (%(sweeps)s::bigint[] IS NULL OR j.sweep_id = ANY (%(sweeps)s))
    ORDER BY j.fingerprint, j.id DESC
"""

_SWEEPS = """
    SELECT s.id FROM sweeps s JOIN groups g ON g.id = s.group_id
    WHERE (%(name)s IS NULL OR g.name = %(name)s) AND (%(kind)s IS NULL OR s.kind = %(kind)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One text that is near. ``score``: cosine similarity, 1 is the same direction.

    Of several jobs with this very text, ``key`` and ``sweep`` are the newest one's; empty when none is left.
    """

    key: str
    score: float
    text: str  # an excerpt
    title: str
    sweep: str
    kind: str
    call_id: int


def search(
    engine: sqlalchemy.Engine,
    vector: Vector,
    *,
    model: str,
    k: int = 10,
    sweep: str | None = None,
    kind: str | None = None,
    exact: bool = False,
) -> list[Hit]:
    """The ``k`` nearest texts, the nearest first; fewer only when the filter leaves fewer.

    ``exact`` measures every vector of the space. Raises InputError and LedgerUnavailable.
    """
    query = _checked(vector, k)
    with transaction(engine) as cursor:
        _insist_on_space(cursor, model, query.size)
        sweeps = _sweeps(cursor, sweep, kind)
        given = {
            "query": _literal(query),
            "model": model,
            "dimension": query.size,
            "k": k,
            "sweeps": sweeps,
            "enough": EXACT_BELOW,
        }
        near = _nearest(cursor, given, exact=exact)
        return _hits(cursor, near, sweeps)


def _checked(vector: Vector, k: int) -> Vector:
    query: Vector = np.asarray(vector, dtype=np.float32)
    if query.ndim != 1 or not query.size or not np.isfinite(query).all() or not query.any():
        raise InputError("the text to search for gave no usable vector")
    if not 1 <= k <= MOST_HITS:
        raise InputError(f"k must be from 1 to {MOST_HITS}, not {k}")
    return query


def _literal(query: Vector) -> str:
    return "[" + ",".join(map(repr, query.tolist())) + "]"


def _insist_on_space(cursor: Cursor, model: str, dimension: int) -> None:
    cursor.execute("SELECT FROM embedding_vectors WHERE model = %s AND dimension = %s LIMIT 1", (model, dimension))
    if cursor.fetchone() is not None:
        return
    known = ", ".join(f"{space.model} ({space.dimension})" for space in spaces_of(cursor))
    raise InputError(
        f"there are no vectors of {model} with {dimension} dimensions",
        hint=f"there are: {known}" if known else "run `sweep submit embedding` first",
    )


def _sweeps(cursor: Cursor, name: str | None, kind: str | None) -> list[int] | None:
    """The ids that the filter lets pass; None: no filter."""
    if name is None and kind is None:
        return None
    cursor.execute(_SWEEPS, {"name": name, "kind": kind})
    found = [sweep_id for (sweep_id,) in cursor.fetchall()]
    if name is not None and not found:
        raise unknown_sweep(cursor, name)
    return found


def _nearest(cursor: Cursor, given: Mapping[str, Any], *, exact: bool) -> list[tuple[Any, ...]]:
    filtered = given["sweeps"] is not None
    if filtered and _are_few(cursor, _FEW_JOBS, given):
        cursor.execute(_NEAREST_OF_FEW, given)
        return cursor.fetchall()
    cursor.execute(_SETTINGS, (str(_LOOKED_AT),))
    exact = exact or _are_few(cursor, _FEW_VECTORS, given)
    cursor.execute(_statement(given["dimension"], exact=exact, filtered=filtered), given)
    near = cursor.fetchall()
    if filtered and not exact and len(near) < given["k"]:  # the scan may have stopped at its limit of memory
        cursor.execute(_statement(given["dimension"], exact=True, filtered=True), given)
        near = cursor.fetchall()
    return near


def _are_few(cursor: Cursor, statement: str, given: Mapping[str, object]) -> bool:
    cursor.execute(statement, given)
    ((found,),) = cursor.fetchall()
    return int(found) < EXACT_BELOW


def _statement(dimension: int, *, exact: bool, filtered: bool) -> str:
    # The index is found only by the very expression that it was built on; any other one is measured row by row.
    kind = VectorType.NONE if exact else vector_type(dimension)
    cast = "vector" if kind is VectorType.NONE else f"{kind.value}({dimension})"
    measured = "v.vector" if kind is VectorType.NONE else f"(v.vector::{cast})"
    return _NEAREST.format(measured=measured, cast=cast, dimension=int(dimension), only=_ONLY if filtered else "")


def _hits(cursor: Cursor, near: Sequence[tuple[Any, ...]], sweeps: list[int] | None) -> list[Hit]:
    cursor.execute(_JOBS, {"prints": [print_ for print_, _, _ in near], "sweeps": sweeps})
    jobs = {row[0]: row[1:] for row in cursor.fetchall()}
    hits = []
    for print_, call_id, score in near:
        key, name, kind, text, title = jobs.get(print_, ("", "", "", "", ""))
        excerpt = textwrap.shorten(text or "", _EXCERPT, placeholder=" ...")
        hits.append(
            Hit(key=key, score=float(score), text=excerpt, title=title or "", sweep=name, kind=kind, call_id=call_id)
        )
    return hits
