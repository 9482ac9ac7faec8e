"""Answers that come after all: their worker stood still, and their calls were booked as ``unknown`` meanwhile.

RawCall rows never change, so that the answer becomes a row of its own which names the one that it replaces,
and the counts take the unknown call back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.model import CallRecord, CallStatus, Outcome
from db.documents import load_json
from db.engine import Cursor
from db.rows import nano
from db.tally import Tally

REPLACES = "replaces"
"""The key in ``metadata_json`` that names the unknown call."""

_PRESENT = "SELECT id, status = 'unknown', cost_max_usd::float8 FROM raw_calls WHERE id = ANY (%s)"
_ANSWERED = """
    SELECT id, metadata_json::text FROM raw_calls WHERE fingerprint = ANY (%s) AND status = 'success'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Outcomes with new ids for late answers.

    ``present``: calls that are rows already. ``taken_back``: what a new call takes from the counts once it is a row.
    """

    outcomes: Sequence[Outcome]
    present: frozenset[int] = frozenset()
    taken_back: Mapping[int, Tally] = field(default_factory=dict)


def renumber(cursor: Cursor, outcomes: Sequence[Outcome]) -> Late:
    """Gives late answers ids of their own. Doing it again gives the same ids."""
    calls = {call.id: call for outcome in outcomes for call in (*outcome.calls, *outcome.adopted)}
    cursor.execute(_PRESENT, (list(calls),))
    rows = cursor.fetchall()
    present = frozenset(call_id for call_id, _, _ in rows)
    answers = {call_id: call for call_id, call in calls.items() if call.status is CallStatus.SUCCESS}
    worst = {call_id: usd for call_id, unknown, usd in rows if unknown and call_id in answers}
    if not worst:
        return Late(outcomes=outcomes, present=present)
    numbers = _numbers(cursor, [answers[call_id] for call_id in sorted(worst)])
    return Late(
        outcomes=[_renumbered(outcome, numbers) for outcome in outcomes],
        present=present,
        taken_back={numbers[call_id]: _booked(usd) for call_id, usd in worst.items()},
    )


def _numbers(cursor: Cursor, calls: Sequence[CallRecord]) -> dict[int, int]:
    cursor.execute(_ANSWERED, ([call.fingerprint for call in calls],))
    numbers = {load_json(metadata).get(REPLACES): call_id for call_id, metadata in cursor.fetchall()}
    known = {call.id: numbers[call.id] for call in calls if call.id in numbers}
    missing = [call.id for call in calls if call.id not in known]
    cursor.execute("SELECT nextval('raw_call_ids') FROM generate_series(1, %s)", (len(missing),))
    return known | dict(zip(missing, (call_id for (call_id,) in cursor.fetchall()), strict=True))


def _booked(worst_usd: float | None) -> Tally:
    bound = nano(worst_usd)
    return Tally(calls=-1, calls_unknown=-1, cost_max_nano=-(bound or 0), cost_unknown=-(bound is None))


def _renumbered(outcome: Outcome, numbers: Mapping[int, int]) -> Outcome:
    return replace(
        outcome,
        calls=tuple(_calls(outcome.calls, numbers)),
        adopted=tuple(_calls(outcome.adopted, numbers)),
        jobs=tuple(
            job if job.call_id is None else replace(job, call_id=numbers.get(job.call_id, job.call_id))
            for job in outcome.jobs
        ),
        vectors=tuple(replace(v, call_id=numbers.get(v.call_id, v.call_id)) for v in outcome.vectors),
    )


def _calls(calls: Iterable[CallRecord], numbers: Mapping[int, int]) -> Iterable[CallRecord]:
    for call in calls:
        if call.id in numbers:
            yield replace(call, id=numbers[call.id], metadata={**call.metadata, REPLACES: call.id})
        else:
            yield call
