"""Calls that dead workers left in flight, and what a sweep has spent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy

from core.model import CallRecord, CallStatus
from core.ports import Ask, Intent
from db.commit import Tallies, add_members, add_tallies, insert_calls
from db.engine import transaction
from db.rows import usd
from db.tally import Tally, TallyKey

REAPER = "reaper"
"""The owner of the tallies of calls that their own worker did not live to count."""


def book_unknown(
    engine: sqlalchemy.Engine, intents: Sequence[Intent], records: Mapping[int, CallRecord] | None = None
) -> int:
    """Books calls whose worker died: as they are where the cache still has the record, else as ``unknown``.

    An unknown call counts with its worst-case price. Booking twice changes nothing; returns how many became rows.
    Raises LedgerUnavailable.
    """
    if not intents:
        return 0
    known = records or {}
    asks = {intent.ask.call_id: intent.ask for intent in intents}
    rows = {intent.ask.call_id: known.get(intent.ask.call_id) or _unknown(intent) for intent in intents}
    with transaction(engine) as cursor:
        fresh = insert_calls(cursor, rows.values())
        cursor.execute("SELECT id, group_id FROM sweeps WHERE id = ANY (%s)", (_sweeps(asks),))
        groups = dict(cursor.fetchall())
        counted = [call_id for call_id in sorted(fresh) if asks[call_id].sweep_id in groups]
        add_members(cursor, [(groups[asks[call_id].sweep_id], call_id, "made") for call_id in counted])
        tallies: Tallies = defaultdict(Tally)
        for call_id in counted:
            call = rows[call_id]
            key = TallyKey(sweep_id=asks[call_id].sweep_id, owner=REAPER, provider=call.provider, model=call.model)
            tallies[key].add_call(call)
        add_tallies(cursor, tallies)
    return len(fresh)


def existing(engine: sqlalchemy.Engine, call_ids: Sequence[int]) -> set[int]:
    """Which of these calls are rows already."""
    with transaction(engine) as cursor:
        cursor.execute("SELECT id FROM raw_calls WHERE id = ANY (%s)", (list(call_ids),))
        return {call_id for (call_id,) in cursor.fetchall()}


def live_owners(engine: sqlalchemy.Engine) -> frozenset[str]:
    """Owners that hold a lease right now."""
    with transaction(engine) as cursor:
        cursor.execute(
            "SELECT DISTINCT lease_owner FROM chunks WHERE state = 'leased' AND lease_until > clock_timestamp()"
        )
        return frozenset(owner for (owner,) in cursor.fetchall())


def spent(engine: sqlalchemy.Engine, sweep_id: int) -> tuple[float, float]:
    """USD that a sweep has certainly spent, and the most it can have spent, as far as prices are known."""
    with transaction(engine) as cursor:
        cursor.execute("SELECT sum(cost_nano), sum(cost_max_nano) FROM sweep_tallies WHERE sweep_id = %s", (sweep_id,))
        row = cursor.fetchone()
    known, bound = row or (0, 0)
    return usd(int(known or 0)), usd(int(bound or 0))


def _unknown(intent: Intent) -> CallRecord:
    ask = intent.ask
    return CallRecord(
        id=ask.call_id,
        provider=ask.provider,
        model=ask.model,
        modality=ask.modality,
        status=CallStatus.UNKNOWN,
        fingerprint=ask.fingerprint,
        request={},  # an intent holds no prompt
        error={"message": "its worker died while the call was in flight; it may have been billed"},
        cost_max_usd=ask.worst_usd,
        metadata={"sweep_id": ask.sweep_id, "owner": ask.owner, "age_s": round(intent.age_s, 3)},
    )


def _sweeps(asks: Mapping[int, Ask]) -> list[int]:
    return sorted({ask.sweep_id for ask in asks.values()})
