"""HNSW indexes, one a space: built once a space is loaded, because a bulk load into an index is many times slower."""

import contextlib
import hashlib
from dataclasses import dataclass
from enum import StrEnum

import psycopg2.extensions
import sqlalchemy

from core.errors import InputError
from db.engine import Cursor, dial, transaction, translated

_LOCK = 0x6C6C6D76  # any number that all processes agree on; db.schema has its neighbour
# For the worst that there is, noise: recall@10 of 20,000 vectors of 256 dimensions is 1.0; with 16 and 128, at half the
# time to build, it was 0.985 to 0.995.
_NEIGHBOURS = 24
_CONSTRUCTION = 200
_WAIT_S = 60
_MEGABYTE = 1 << 20

_SPACES = """
    SELECT model, dimension, count(*) FROM embedding_vectors GROUP BY model, dimension ORDER BY count(*) DESC, 1, 2
"""
_FOUND = """
    SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relname = %s AND i.indrelid = 'embedding_vectors'::regclass
"""

# A job is found by its fingerprint only here; sweeps without vectors never pay for this index.
_JOBS_INDEX = """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_fingerprint ON jobs (fingerprint) WHERE fingerprint IS NOT NULL
"""


class VectorType(StrEnum):
    """What pgvector can index: 2,000 dimensions as they are, 4,000 in half precision, no more (pgvector's README)."""

    VECTOR = "vector"
    HALFVEC = "halfvec"
    NONE = "none"


class IndexState(StrEnum):
    """What ``ensure_index`` found or did."""

    BUILT = "built"
    PRESENT = "present"
    BUILDING = "building"  # by another process, just now
    IMPOSSIBLE = "impossible"  # too many dimensions: searches measure every vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All vectors of one model and dimension."""

    model: str
    dimension: int
    vectors: int


def vector_type(dimension: int) -> VectorType:
    """The type that vectors of so many dimensions are indexed as."""
    if dimension <= 2_000:
        return VectorType.VECTOR
    return VectorType.HALFVEC if dimension <= 4_000 else VectorType.NONE


def index_name(model: str, dimension: int) -> str:
    """Of fixed length, whatever the model is called."""
    return f"vectors_hnsw_{hashlib.sha256(model.encode()).hexdigest()[:12]}_{dimension}"


def finished_loads(engine: sqlalchemy.Engine) -> int:
    """How many embedding sweeps are done: when it changes, spaces have grown. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        cursor.execute("SELECT count(*) FROM sweeps WHERE kind = 'embedding' AND state = 'done'")
        ((count,),) = cursor.fetchall()
        return int(count)


def spaces(engine: sqlalchemy.Engine) -> list[Space]:
    """All spaces, the largest first. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        return spaces_of(cursor)


def spaces_of(cursor: Cursor) -> list[Space]:
    """The same, in a transaction that is open already."""
    cursor.execute(_SPACES)
    return [Space(model=model, dimension=dimension, vectors=count) for model, dimension, count in cursor.fetchall()]


def ensure_index(engine: sqlalchemy.Engine, *, model: str, dimension: int) -> IndexState:
    """Builds a space's index while everybody goes on reading and writing. Only one process builds at a time.

    Raises InputError when the space is empty, and LedgerUnavailable.
    """
    kind = vector_type(dimension)
    with contextlib.closing(dial(engine.url)) as connection, translated(), connection.cursor() as cursor:
        if not _try_lock(cursor):
            return IndexState.BUILDING
        cursor.execute(_JOBS_INDEX)
        if kind is VectorType.NONE:
            return IndexState.IMPOSSIBLE
        name = index_name(model, dimension)
        cursor.execute(_FOUND, (name,))
        found = cursor.fetchone()
        if found == (True,):
            return IndexState.PRESENT
        if found is not None:  # its builder died
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        _build(cursor, name, kind, model, dimension)
        return IndexState.BUILT


def _try_lock(cursor: psycopg2.extensions.cursor) -> bool:
    # Held until the connection is closed. Never waited for: whoever waits holds a snapshot, and a concurrent build
    # waits for all snapshots, so that the two would block each other.
    cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
    return cursor.fetchone() == (True,)


def _build(cursor: psycopg2.extensions.cursor, name: str, kind: VectorType, model: str, dimension: int) -> None:
    cursor.execute("SELECT count(*) FROM embedding_vectors WHERE model = %s AND dimension = %s", (model, dimension))
    ((count,),) = cursor.fetchall()
    if not count:
        raise InputError(f"there are no vectors of {model} with {dimension} dimensions")
    needed = count * (4 * dimension + 1_024) // _MEGABYTE
    cursor.execute("SELECT set_config('maintenance_work_mem', %s, false)", (f"{min(1024, 64 + needed)}MB",))
    # A parallel build needs that much shared memory, of which containers have 64 MB, and takes the workers' cores.
    cursor.execute("SET max_parallel_maintenance_workers = 0")
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_WAIT_S}s",))
    cursor.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON embedding_vectors"
        f" USING hnsw ((vector::{kind.value}({int(dimension)})) {kind.value}_cosine_ops)"
        f" WITH (m = {_NEIGHBOURS}, ef_construction = {_CONSTRUCTION})"
        f" WHERE model = %s AND dimension = {int(dimension)}",
        (model,),
    )
