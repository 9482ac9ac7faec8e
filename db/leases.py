"""Who works on which chunk, decided by PostgreSQL and its clock alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy

from core.model import ChunkRef, Lease, SweepState
from core.ports import Pulse
from db.engine import statement, transaction
from db.rows import clean, int_array
from db.specs import NOTIFY, Plan, load_plan

_TAKE = """
    UPDATE chunks c SET state = 'leased', lease_owner = %(owner)s, takes = c.takes + 1, queued_at = NULL,
        lease_until = clock_timestamp() + %(lease_s)s * interval '1 second',
        stalled = CASE c.pending WHEN p.jobs THEN c.stalled + 1 ELSE 1 END, pending = p.jobs
    FROM sweeps s, (
        SELECT count(*)::int AS jobs FROM jobs
        WHERE sweep_id = %(sweep_id)s AND chunk_no = %(no)s AND state = 'pending'
    ) p
    WHERE c.sweep_id = %(sweep_id)s AND c.no = %(no)s AND s.id = c.sweep_id AND s.state = 'running'
      AND (c.state IN ('waiting', 'queued') OR (c.state = 'leased' AND c.lease_until < clock_timestamp()))
    RETURNING c.takes, s.budget_usd::float8, c.stalled
"""

# Rows are locked in one order, as commits lock them: no two of them can wait for each other in a ring.
_RENEW = """
    WITH held AS (
        SELECT c.sweep_id, c.no, c.takes FROM chunks c
        JOIN unnest(%(sweeps)s::bigint[], %(numbers)s::bigint[], %(fences)s::int[]) AS l (sweep_id, no, fence)
          ON c.sweep_id = l.sweep_id AND c.no = l.no AND c.takes = l.fence
        WHERE c.state = 'leased' AND c.lease_owner = ANY (%(owners)s)
        ORDER BY c.sweep_id, c.no FOR NO KEY UPDATE OF c
    ), renewed AS (
        UPDATE chunks c SET lease_until = clock_timestamp() + %(lease_s)s * interval '1 second'
        FROM held h WHERE c.sweep_id = h.sweep_id AND c.no = h.no
        RETURNING c.sweep_id, c.no, c.takes
    )
    SELECT sweep_id, no, takes, NULL FROM renewed
    UNION ALL SELECT id, NULL, NULL, state FROM sweeps WHERE id = ANY (%(sweeps)s::bigint[])
"""

# Three statements, one round trip. The row is locked by the first: only the next one sees the jobs that a retry has
# reopened meanwhile.
_FINISH = """
    SELECT FROM chunks
    WHERE sweep_id = %(sweep_id)s AND no = %(no)s AND state = 'leased' AND lease_owner = %(owner)s AND takes = %(fence)s
    FOR NO KEY UPDATE;

    UPDATE jobs j SET deaths = 0 FROM chunks c
    WHERE j.sweep_id = %(sweep_id)s AND j.chunk_no = %(no)s AND j.state = 'pending' AND j.deaths > 0
      AND c.sweep_id = j.sweep_id AND c.no = j.chunk_no
      AND c.state = 'leased' AND c.lease_owner = %(owner)s AND c.takes = %(fence)s;

    UPDATE chunks c SET lease_owner = NULL, lease_until = NULL, stalled = 0, state = CASE WHEN EXISTS (
        SELECT FROM jobs j WHERE j.sweep_id = c.sweep_id AND j.chunk_no = c.no AND j.state = 'pending'
    ) THEN 'waiting' ELSE 'finished' END
    WHERE c.sweep_id = %(sweep_id)s AND c.no = %(no)s AND c.state = 'leased' AND c.lease_owner = %(owner)s
      AND c.takes = %(fence)s
    RETURNING c.state
"""

_ALONE = """
    UPDATE jobs j SET deaths = j.deaths + 1
    FROM chunks c
    WHERE j.id = %s AND c.sweep_id = j.sweep_id AND c.no = j.chunk_no
      AND c.sweep_id = %s AND c.no = %s AND c.state = 'leased' AND c.lease_owner = %s AND c.takes = %s
"""

# A worker may have been refused under a cap that a person has raised since: that sweep goes on.
_PARK = """
    UPDATE sweeps SET state = %s, reason = %s
    WHERE id = %s AND state = 'running' AND (%s::float8 IS NULL OR budget_usd::float8 = %s::float8)
"""

_WAKE = """
    SELECT pg_notify(%s, '')
    WHERE (SELECT no FROM chunks WHERE sweep_id = %s AND state <> 'finished' ORDER BY no LIMIT 1) >= %s IS NOT FALSE
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseBook:
    """Takes, renews and ends leases. Blocking; raises LedgerUnavailable."""

    engine: sqlalchemy.Engine
    lease_s: float
    plans: dict[int, Plan] = field(default_factory=dict)  # a sweep's plan never changes

    def take(self, ref: ChunkRef, owner: str) -> Lease | None:
        known = ref.sweep_id in self.plans
        with (statement if known else transaction)(self.engine) as cursor:
            values = {"owner": owner, "lease_s": self.lease_s, "sweep_id": ref.sweep_id, "no": ref.no}
            cursor.execute(_TAKE, values)
            row = cursor.fetchone()
            if row is None:
                return None
            if not known:
                self.plans[ref.sweep_id] = load_plan(cursor, ref.sweep_id)
        fence, budget_usd, stalled = row
        plan = self.plans[ref.sweep_id]
        return plan.lease(ref, owner=owner, fence=fence, budget_usd=budget_usd, stalled=stalled)

    def renew(self, leases: Sequence[Lease]) -> Pulse:
        if not leases:
            return Pulse(held=frozenset())
        values = {
            "sweeps": int_array(lease.ref.sweep_id for lease in leases),
            "numbers": int_array(lease.ref.no for lease in leases),
            "fences": int_array(lease.fence for lease in leases),
            "owners": sorted({lease.owner for lease in leases}),
            "lease_s": self.lease_s,
        }
        with transaction(self.engine) as cursor:
            cursor.execute(_RENEW, values)
            rows = cursor.fetchall()
        return Pulse(
            held=frozenset((ChunkRef(sweep_id=i, no=no), fence) for i, no, fence, state in rows if state is None),
            sweeps={i: SweepState(state) for i, _, _, state in rows if state is not None},
        )

    def finish(self, lease: Lease) -> None:
        sweep_id, no = lease.ref.sweep_id, lease.ref.no
        with statement(self.engine) as cursor:
            cursor.execute(_FINISH, {"sweep_id": sweep_id, "no": no, "owner": lease.owner, "fence": lease.fence})
            if cursor.fetchall() == [("finished",)]:
                # Perhaps the last chunk of the sweep or of a wave: the feeder need not find that out by itself.
                cursor.execute(_WAKE, (NOTIFY, sweep_id, self.plans[sweep_id].wave(no).stop))

    def alone(self, lease: Lease, job_id: int) -> bool:
        with transaction(self.engine) as cursor:
            cursor.execute(_ALONE, (job_id, lease.ref.sweep_id, lease.ref.no, lease.owner, lease.fence))
            return cursor.rowcount == 1

    def park(self, sweep_id: int, state: SweepState, reason: str, *, budget_usd: float | None = None) -> None:
        with transaction(self.engine) as cursor:
            cursor.execute(_PARK, (state.value, clean(reason), sweep_id, budget_usd, budget_usd))
