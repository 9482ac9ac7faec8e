"""Commands on a sweep: a change of its state, never a purge of its messages."""

import math
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy

from core.errors import InputError
from core.model import JobState, SweepState
from db.closing import count_by_variant
from db.engine import Cursor, transaction
from db.progress import unknown_sweep
from db.specs import NOTIFY

_FIND = """
    SELECT s.id, s.state, s.budget_usd::float8 FROM sweeps s JOIN groups g ON g.id = s.group_id
    WHERE g.group_type = 'sweep' AND g.name = %s FOR UPDATE OF s
"""

# A chunk that is leased or queued stays so: its worker's `finish` sees the jobs that are pending again. Its row is
# written all the same, so that a `finish` of this very moment waits, and does not end it with pending jobs.
_REOPEN = """
    WITH reopened AS (
        UPDATE jobs SET state = 'pending', round = round + 1, attempts = 0, deaths = 0, cached = false,
            fingerprint = NULL, call_id = NULL, result_json = NULL, error_json = NULL, prompt_tokens = 0,
            completion_tokens = 0, cached_tokens = 0, reasoning_tokens = 0, cost_nano = 0, updated_at = now()
        WHERE sweep_id = %(sweep_id)s AND state = %(state)s RETURNING chunk_no
    ), counted AS (
        SELECT chunk_no, count(*) AS jobs FROM reopened GROUP BY chunk_no
    ), opened AS (
        UPDATE chunks c SET state = CASE c.state WHEN 'finished' THEN 'waiting' ELSE c.state END FROM counted
        WHERE c.sweep_id = %(sweep_id)s AND c.no = counted.chunk_no
    )
    SELECT chunk_no, jobs FROM counted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """How many jobs a retry has made pending again, and what state the sweep is in now."""

    failed: int = 0
    fallbacks: int = 0
    state: SweepState = SweepState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    sweep_id: int
    state: SweepState
    budget_usd: float | None


def pause(engine: sqlalchemy.Engine, name: str) -> SweepState:
    """No further calls until ``resume``. Raises InputError for an unknown or ended sweep."""
    with transaction(engine) as cursor:
        found = _find(cursor, name)
        _refuse(name, found, {SweepState.DONE, SweepState.CANCELLED}, "pause")
        if found.state is SweepState.RUNNING:
            # No reason: a reason means that the sweep was parked and needs a person.
            _set_state(cursor, found.sweep_id, SweepState.PAUSED, "")
            return SweepState.PAUSED
        return found.state


def resume(engine: sqlalchemy.Engine, name: str, *, budget_usd: float | None = None) -> SweepState:
    """Goes on, with a larger budget where that ran out. Raises InputError."""
    if budget_usd is not None and not (math.isfinite(budget_usd) and budget_usd >= 0):
        raise InputError(f"a budget of {budget_usd} is not an amount of money")
    with transaction(engine) as cursor:
        found = _find(cursor, name)
        _refuse(name, found, {SweepState.DONE, SweepState.CANCELLED}, "resume")
        if found.state is SweepState.BUDGET_EXHAUSTED:
            _check_raise(name, found.budget_usd, budget_usd)
        if budget_usd is not None:
            cursor.execute("UPDATE sweeps SET budget_usd = %s WHERE id = %s", (budget_usd, found.sweep_id))
        _set_state(cursor, found.sweep_id, SweepState.RUNNING, "")
        _wake(cursor)
    return SweepState.RUNNING


def cancel(engine: sqlalchemy.Engine, name: str) -> SweepState:
    """Ends the sweep for good; the feeder cancels what is pending. Raises InputError."""
    with transaction(engine) as cursor:
        found = _find(cursor, name)
        _refuse(name, found, {SweepState.DONE}, "cancel")
        if found.state is not SweepState.CANCELLED:
            cursor.execute(
                "UPDATE sweeps SET state = 'cancelled', reason = '', finished_at = now() WHERE id = %s",
                (found.sweep_id,),
            )
            _wake(cursor)
    return SweepState.CANCELLED


def retry(engine: sqlalchemy.Engine, name: str, *, failed: bool = True, fallbacks: bool = False) -> Reopened:
    """Opens a new round for jobs that failed, or that only have a rule-based result. Raises InputError.

    Only an ended sweep runs again by it: one that a person has paused, or that was parked, waits for ``resume``.
    """
    if not (failed or fallbacks):
        raise InputError("nothing to retry was named", hint="--failed, --fallbacks or both")
    with transaction(engine) as cursor:
        # Reopening millions of jobs is one statement and may take longer than any other.
        cursor.execute("SET LOCAL statement_timeout = 0")
        found = _find(cursor, name)
        _refuse(name, found, {SweepState.CANCELLED}, "retry")
        reopened = Reopened(
            failed=_reopen(cursor, found.sweep_id, JobState.FAILED) if failed else 0,
            fallbacks=_reopen(cursor, found.sweep_id, JobState.FALLBACK) if fallbacks else 0,
            state=found.state,
        )
        if not (reopened.failed or reopened.fallbacks):
            return reopened
        if found.state is SweepState.DONE:
            _set_state(cursor, found.sweep_id, SweepState.RUNNING, "")
            reopened = replace(reopened, state=SweepState.RUNNING)
        _wake(cursor)
    return reopened


def _find(cursor: Cursor, name: str) -> _Found:
    cursor.execute(_FIND, (name,))
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise unknown_sweep(cursor, name)
    return _Found(sweep_id=row[0], state=SweepState(row[1]), budget_usd=row[2])


def _refuse(name: str, found: _Found, states: set[SweepState], command: str) -> None:
    if found.state in states:
        raise InputError(
            f"the sweep {name!r} is {found.state}: it cannot {command}",
            hint="`sweep retry` reopens failed jobs"
            if found.state is SweepState.DONE
            else "submit it under a new name",
        )


def _check_raise(name: str, old: float | None, new: float | None) -> None:
    if old is not None and (new is None or new <= old):
        raise InputError(f"the sweep {name!r} has used up its budget of ${old:g}", hint="give a larger --budget")


def _reopen(cursor: Cursor, sweep_id: int, state: JobState) -> int:
    cursor.execute(_REOPEN, {"sweep_id": sweep_id, "state": state.value})
    return count_by_variant(cursor, sweep_id, cursor.fetchall(), state, sign=-1)


def _set_state(cursor: Cursor, sweep_id: int, state: SweepState, reason: str) -> None:
    cursor.execute(
        "UPDATE sweeps SET state = %s, reason = %s, finished_at = NULL WHERE id = %s", (state.value, reason, sweep_id)
    )


def _wake(cursor: Cursor) -> None:
    cursor.execute("SELECT pg_notify(%s, '')", (NOTIFY,))
