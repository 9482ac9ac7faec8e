"""What the feeder asks of PostgreSQL: which chunks are due, and what has got lost. Blocking, for its own thread."""

import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg2
import psycopg2.extensions

from core.errors import LedgerUnavailable
from core.model import CallRecord, ChunkRef
from core.ports import Intent
from db import calls, closing
from db.engine import Cursor, connect, dial, normalise, transaction, translated
from db.overdue import answered_within
from db.specs import NOTIFY

_LEADER = 0x6C6C6D66  # the advisory lock that makes one feeder the leader

_CHALLENGE_EVERY = 3  # tries
_OVERDUE_S = 20.0  # an answer to the leader's question, which takes a millisecond
_SILENT_S = 5  # a leader asks at least once a second; one that is frozen keeps its connection, and so its lock

# Its session is ended: when it wakes up, it finds that it leads no more. Only its own user may do that.
_DEPOSE = """
    SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = %s AND l.granted AND a.usename = current_user
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND a.state <> 'active' AND a.state_change < clock_timestamp() - %s * interval '1 second'
"""

# Old sweeps first, but in turns: what a sweep has in the queue already counts as turns it has had.
# A wave's chunks wait until those of the waves before have ended.
_TAKE = """
    WITH due AS (
        SELECT c.sweep_id, c.no, q.queued + row_number() OVER (PARTITION BY c.sweep_id ORDER BY c.no) AS turn
        FROM sweeps s
        CROSS JOIN LATERAL (
            SELECT count(*) AS queued FROM chunks
            WHERE state = 'queued' AND provider = %(provider)s AND sweep_id = s.id
        ) q
        CROSS JOIN LATERAL (
            SELECT min(start) AS no FROM unnest(s.waves) AS start WHERE start > (
                SELECT no FROM chunks WHERE state <> 'finished' AND provider = %(provider)s AND sweep_id = s.id
                ORDER BY no LIMIT 1
            )
        ) next_wave
        CROSS JOIN LATERAL (
            SELECT sweep_id, no FROM chunks
            WHERE state = 'waiting' AND provider = %(provider)s AND sweep_id = s.id
              AND no < coalesce(next_wave.no, 9223372036854775807) ORDER BY no LIMIT %(count)s
        ) c
        WHERE s.state = 'running'
    ), chosen AS (
        SELECT sweep_id, no, turn FROM due ORDER BY turn, sweep_id LIMIT %(count)s
    ), taken AS (
        UPDATE chunks c SET state = 'queued', queued_at = clock_timestamp() FROM chosen
        WHERE c.sweep_id = chosen.sweep_id AND c.no = chosen.no AND c.state = 'waiting'
        RETURNING c.sweep_id, c.no, c.kind, c.jobs, chosen.turn
    )
    SELECT t.sweep_id, t.no, t.kind, g.name, t.jobs FROM taken t
    JOIN sweeps s ON s.id = t.sweep_id JOIN groups g ON g.id = s.group_id ORDER BY t.turn, t.sweep_id
"""

_PROVIDERS = """
    SELECT DISTINCT target ->> 'provider' FROM sweeps, json_array_elements(spec_json -> 'targets') AS target
    WHERE state IN ('running', 'paused', 'budget_exhausted') OR finished_at > now() - interval '1 day' ORDER BY 1
"""

_REQUEUE_LAPSED = """
    UPDATE chunks SET state = 'waiting', lease_owner = NULL, lease_until = NULL
    WHERE state = 'leased' AND lease_until < clock_timestamp()
"""

_RELEASE = """
    UPDATE chunks SET state = 'waiting', lease_owner = NULL, lease_until = NULL
    WHERE state = 'leased' AND lease_owner = ANY (%s)
"""

_REQUEUE_LOST = """
    UPDATE chunks SET state = 'waiting', queued_at = NULL
    WHERE state = 'queued' AND provider = %s AND queued_at < clock_timestamp() - %s * interval '1 second'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A chunk that is now ``queued``: the caller owes it a message."""

    ref: ChunkRef
    kind: str
    sweep_name: str
    jobs: int


class Feed:
    """Opened by every worker; only the one that leads publishes. All methods raise LedgerUnavailable."""

    def __init__(self, url: str) -> None:
        self._address = normalise(url)
        self._engine = connect(self._address, pool=2)
        self._session: psycopg2.extensions.connection | None = None
        self._leads = False
        self._turned_down = 0

    def lead(self) -> bool:
        """Whether this process is the leader. The lock ends with its connection, which every call checks."""
        try:
            session = self._own_session()
            with translated(), answered_within(session, _OVERDUE_S), session.cursor() as cursor:
                if self._leads:
                    cursor.execute("SELECT 1")
                else:
                    cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LEADER,))
                    row = cursor.fetchone()
                    self._leads = row is not None and bool(row[0])
                    self._challenge(cursor)
        except LedgerUnavailable:
            self._drop_session()
            raise
        return self._leads

    def _challenge(self, cursor: Cursor) -> None:
        """Now and then, who is turned down looks whether the leader is still there."""
        self._turned_down = 0 if self._leads else self._turned_down + 1
        if self._turned_down and self._turned_down % _CHALLENGE_EVERY == 0:
            cursor.execute(_DEPOSE, (_LEADER, _SILENT_S))

    def wait(self, timeout_s: float) -> bool:
        """Sleeps until a producer or a worker has news (True), at most ``timeout_s``."""
        try:
            with translated():
                session = self._own_session()
                if not session.notifies:  # some may have come along with the answer to a statement
                    # select() can't name the descriptors of a worker with a thousand calls in flight.
                    incoming = select.poll()
                    incoming.register(session, select.POLLIN)
                    incoming.poll(timeout_s * 1000)
                    session.poll()
                news = bool(session.notifies)
                session.notifies.clear()
        except LedgerUnavailable:
            self._drop_session()
            raise
        return news

    def providers(self) -> list[str]:
        """Providers of the sweeps that are open or ended within a day: their queues and intents need a look."""
        with transaction(self._engine) as cursor:
            cursor.execute(_PROVIDERS)
            return [name for (name,) in cursor.fetchall()]

    def take(self, provider: str, count: int) -> list[Published]:
        """Up to ``count`` waiting chunks become ``queued``, in turns over the running sweeps."""
        if count <= 0:
            return []
        with transaction(self._engine) as cursor:
            cursor.execute(_TAKE, {"provider": provider, "count": count})
            return [
                Published(ref=ChunkRef(sweep_id=sweep_id, no=no), kind=kind, sweep_name=name, jobs=jobs)
                for sweep_id, no, kind, name, jobs in cursor.fetchall()
            ]

    def queued(self, provider: str) -> int:
        """Chunks that a message should be out for."""
        with transaction(self._engine) as cursor:
            cursor.execute("SELECT count(*) FROM chunks WHERE state = 'queued' AND provider = %s", (provider,))
            row = cursor.fetchone()
            return 0 if row is None else int(row[0])

    def requeue_lapsed(self) -> int:
        """Chunks of dead workers wait again; returns how many."""
        with transaction(self._engine) as cursor:
            cursor.execute(_REQUEUE_LAPSED)
            return cursor.rowcount

    def release(self, owners: Sequence[str]) -> int:
        """Chunks of workers that have certainly ended wait again; returns how many."""
        with transaction(self._engine) as cursor:
            cursor.execute(_RELEASE, (list(owners),))
            return cursor.rowcount

    def requeue_lost(self, provider: str, older_than_s: float) -> int:
        """Chunks whose message must be gone by now wait again; returns how many."""
        with transaction(self._engine) as cursor:
            cursor.execute(_REQUEUE_LOST, (provider, older_than_s))
            return cursor.rowcount

    def close_sweeps(self) -> list[int]:
        """Ends running sweeps whose chunks are all finished, and clears what cancelled ones left pending."""
        closing.clear_cancelled(self._engine)
        return closing.close_finished(self._engine)

    def book_unknown(self, intents: Sequence[Intent], records: Mapping[int, CallRecord]) -> int:
        """``db.calls.book_unknown`` on this feed's connections."""
        return calls.book_unknown(self._engine, intents, records)

    def existing(self, call_ids: Sequence[int]) -> set[int]:
        """Which of these calls are rows already."""
        return calls.existing(self._engine, call_ids)

    def live_owners(self) -> frozenset[str]:
        """Owners that hold a lease right now: their calls in flight are not orphans."""
        return calls.live_owners(self._engine)

    def close(self) -> None:
        """Gives up the leadership and all connections."""
        self._drop_session()
        self._engine.dispose()

    def _own_session(self) -> psycopg2.extensions.connection:
        if self._session is None:
            self._session = dial(self._address)
            with self._session.cursor() as cursor:
                cursor.execute(f"LISTEN {NOTIFY}")
        return self._session

    def _drop_session(self) -> None:
        session, self._session, self._leads = self._session, None, False
        if session is not None:
            session.close()
