"""How sweeps end: the last chunk of a running one, and the rest of a cancelled one."""

from collections import defaultdict
from typing import Any

import sqlalchemy

from core.model import JobState
from db.commit import Tallies, add_tallies
from db.engine import Cursor, transaction
from db.specs import load_plan
from db.tally import Tally, TallyKey

CONTROL = "control"
"""The owner of the tallies of what commands and the feeder do to jobs."""

BATCH = 200
"""Chunks whose jobs one transaction cancels."""

_BATCHES = 10  # transactions a call and sweep

# The order leaves the planner one plan, a single step into the index of unfinished chunks: an EXISTS becomes a join,
# and with statistics from when all chunks were unfinished, a scan that expects to find one at once and reads them all.
_FIRST_OPEN = "(SELECT c.no FROM chunks c WHERE c.sweep_id = s.id AND c.state <> 'finished' ORDER BY c.no LIMIT 1)"

_ENDED = f"""
    SELECT s.id FROM sweeps s
    WHERE s.state IN ('running', 'paused', 'budget_exhausted') AND {_FIRST_OPEN} IS NULL
    ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
"""  # noqa: S608 - only our own words

# Asked again once the row is locked: a retry may have reopened chunks since the first look.
_CLOSE = f"""
    UPDATE sweeps s SET state = 'done', reason = '', finished_at = now()
    WHERE s.id = ANY (%s) AND s.state <> 'cancelled' AND {_FIRST_OPEN} IS NULL RETURNING s.id
"""  # noqa: S608 - only our own words

# Chunks that a living worker holds are left to it: what it has paid for still counts.
_STOP_CHUNKS = """
    WITH idle AS (
        SELECT sweep_id, no FROM chunks
        WHERE sweep_id = %s AND state <> 'finished'
          AND (state <> 'leased' OR lease_until < clock_timestamp())
        ORDER BY no LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE chunks c SET state = 'finished', lease_owner = NULL, lease_until = NULL, takes = c.takes + 1
    FROM idle WHERE c.sweep_id = idle.sweep_id AND c.no = idle.no
    RETURNING c.no
"""

_CANCEL_JOBS = """
    WITH cancelled AS (
        UPDATE jobs SET state = 'cancelled', updated_at = now()
        WHERE sweep_id = %s AND chunk_no = ANY (%s) AND state = 'pending' RETURNING chunk_no
    )
    SELECT chunk_no, count(*) FROM cancelled GROUP BY chunk_no
"""

_CANCELLED = f"""
    SELECT s.id FROM sweeps s WHERE s.state = 'cancelled' AND {_FIRST_OPEN} IS NOT NULL
"""  # noqa: S608 - only our own words


def close_finished(engine: sqlalchemy.Engine) -> list[int]:
    """Sweeps whose chunks are all finished become done, paused or not; returns their ids."""
    with transaction(engine) as cursor:
        cursor.execute(_ENDED)
        ended = [sweep_id for (sweep_id,) in cursor.fetchall()]
        if not ended:
            return []
        cursor.execute(_CLOSE, (ended,))
        return [sweep_id for (sweep_id,) in cursor.fetchall()]


def clear_cancelled(engine: sqlalchemy.Engine) -> int:
    """Pending jobs of cancelled sweeps become cancelled: some batches a call, for other sweeps want to be fed.

    Returns how many jobs; what is left is the next call's.
    """
    with transaction(engine) as cursor:
        cursor.execute(_CANCELLED)
        sweeps = [sweep_id for (sweep_id,) in cursor.fetchall()]
    total = 0
    for sweep_id in sweeps:
        for _ in range(_BATCHES):
            with transaction(engine) as cursor:
                chunks, jobs = _clear_batch(cursor, sweep_id)
            total += jobs
            if chunks < BATCH:
                break
    return total


def count_by_variant(
    cursor: Cursor, sweep_id: int, by_chunk: list[tuple[Any, ...]], state: JobState, sign: int = 1
) -> int:
    """Adds jobs that entered (or left, sign -1) a state to the tallies, given (chunk, count) pairs."""
    if not by_chunk:
        return 0
    plan = load_plan(cursor, sweep_id)
    tallies: Tallies = defaultdict(Tally)
    for chunk_no, count in by_chunk:
        variant = plan.variant(chunk_no)
        key = TallyKey(sweep_id=sweep_id, owner=CONTROL, provider=variant.provider, model=variant.model)
        tally = tallies[key]
        setattr(tally, state.value, getattr(tally, state.value) + sign * count)
    add_tallies(cursor, tallies)
    return sum(count for _, count in by_chunk)


def _clear_batch(cursor: Cursor, sweep_id: int) -> tuple[int, int]:
    cursor.execute(_STOP_CHUNKS, (sweep_id, BATCH))
    chunks = [no for (no,) in cursor.fetchall()]
    if not chunks:
        return 0, 0
    cursor.execute(_CANCEL_JOBS, (sweep_id, chunks))
    return len(chunks), count_by_variant(cursor, sweep_id, cursor.fetchall(), JobState.CANCELLED)
