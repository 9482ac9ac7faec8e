"""The ledger in PostgreSQL: Leases and Ledger of ``core.ports`` on a few threads of their own."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import ParamSpec, TypeVar

import sqlalchemy

from core.errors import InputError, LedgerUnavailable
from core.model import Answer, ChunkRef, Job, JsonObject, Lease, Modality, Outcome, SweepState
from core.ports import Pulse
from core.routing import Rates
from db import answers
from db.calls import existing, spent
from db.commit import commit
from db.engine import Cursor, connect, statement
from db.leases import LeaseBook
from db.rates import success_rates
from db.rows import text_array
from db.waves import needs, with_earlier

P = ParamSpec("P")
T = TypeVar("T")

ID_BLOCK = 1000
"""The increment of the sequence ``raw_call_ids``: one round trip brings so many ids."""

_JOBS = """
    SELECT id, key, input_json, round, attempts, deaths FROM jobs
    WHERE sweep_id = %s AND chunk_no = %s AND state = 'pending' ORDER BY id
"""

_EARLIER = """
    SELECT key, result_json FROM jobs
    WHERE sweep_id = %s AND key = ANY (%s::text[]) AND chunk_no < %s AND state = 'done'
"""


class PostgresLedger:
    """Never blocks the event loop. Every method raises LedgerUnavailable while PostgreSQL is away."""

    def __init__(self, url: str, *, lease_s: float, threads: int = 4) -> None:
        self._engine = connect(url, pool=threads + 1)
        self._book = LeaseBook(engine=self._engine, lease_s=lease_s)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
        # Heartbeats never queue behind slow commits: a lease that lapses meanwhile costs its chunk a second worker.
        self._pulse = ThreadPoolExecutor(1, thread_name_prefix="ledger-pulse")
        self._ids = range(0)

    async def lease(self, ref: ChunkRef, owner: str) -> Lease | None:
        return await self._run(self._book.take, ref, owner)

    async def renew(self, leases: Sequence[Lease]) -> Pulse:
        return await self._run_on(self._pulse, self._book.renew, leases)

    async def finish(self, lease: Lease) -> None:
        await self._run(self._book.finish, lease)

    async def alone(self, lease: Lease, job_id: int) -> bool:
        return await self._run(self._book.alone, lease, job_id)

    async def park(self, sweep_id: int, state: SweepState, reason: str, *, budget_usd: float | None = None) -> None:
        await self._run(self._book.park, sweep_id, state, reason, budget_usd=budget_usd)

    async def jobs(self, lease: Lease) -> Sequence[Job]:
        return await self._run(_jobs, self._engine, lease)

    async def find(self, fingerprints: Sequence[str], modality: Modality) -> Mapping[str, Answer]:
        return await self._run(answers.find, self._engine, fingerprints, modality)

    async def missing_calls(self, call_ids: Sequence[int]) -> Sequence[int]:
        known = await self._run(existing, self._engine, call_ids)
        return [call_id for call_id in call_ids if call_id not in known]

    async def spent(self, sweep_id: int) -> float:
        """USD that a sweep may have cost so far, calls of unknown outcome at their worst."""
        _, at_most = await self._run(spent, self._engine, sweep_id)
        return at_most

    async def success_rates(self) -> Rates:
        """How the cluster's newest calls went."""
        return await self._run(success_rates, self._engine)

    async def call_ids(self, count: int) -> Iterable[int]:
        taken, self._ids = self._ids[:count], self._ids[count:]
        missing = count - len(taken)
        if not missing:
            return taken
        blocks = await self._run(_id_blocks, self._engine, -(-missing // ID_BLOCK))
        rest = ID_BLOCK * len(blocks) - missing
        self._ids = blocks[-1][ID_BLOCK - rest :]
        blocks[-1] = blocks[-1][: ID_BLOCK - rest]
        return list(chain(taken, *blocks))

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            await self._run(commit, self._engine, outcomes)

    async def close(self) -> None:
        """Ends the threads and the connections; statements that run are waited for."""
        for threads in (self._threads, self._pulse):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run_on(self._threads, function, *args, **kwargs)

    async def _run_on(
        self, threads: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        call = asyncio.get_running_loop().run_in_executor(threads, lambda: function(*args, **kwargs))
        try:
            return await call
        except InputError as exc:
            # The address was good when the process started: a changed password or a dropped right is an outage.
            raise LedgerUnavailable(exc.message) from exc


def _jobs(engine: sqlalchemy.Engine, lease: Lease) -> list[Job]:
    with statement(engine) as cursor:
        cursor.execute(_JOBS, (lease.ref.sweep_id, lease.ref.no))
        jobs = [
            Job(id=job_id, key=key, input=given, round=round_, attempts=attempts, deaths=deaths)
            for job_id, key, given, round_, attempts, deaths in cursor.fetchall()
        ]
        return _informed(cursor, lease, jobs) if lease.wave_start else jobs


def _informed(cursor: Cursor, lease: Lease, jobs: Sequence[Job]) -> list[Job]:
    """The jobs with what those that they need have brought: one query a chunk."""
    keys = {key + lease.label for job in jobs for key in needs(job.input).values()}
    cursor.execute(_EARLIER, (lease.ref.sweep_id, text_array(sorted(keys)), lease.wave_start))
    found: dict[str, JsonObject] = dict(cursor.fetchall())
    return [with_earlier(job, found, lease.label) for job in jobs]


def _id_blocks(engine: sqlalchemy.Engine, count: int) -> list[range]:
    with statement(engine) as cursor:
        cursor.execute("SELECT nextval('raw_call_ids') FROM generate_series(1, %s)", (count,))
        return [range(first, first + ID_BLOCK) for (first,) in sorted(cursor.fetchall())]
