"""Group commit: all outcomes that wait share one transaction, and each waiter goes on when it is durable."""

import asyncio
import itertools
import logging
from dataclasses import dataclass, replace

from core.errors import LedgerUnavailable, LlmsweepError
from core.model import JobState, Outcome
from core.ports import Clock, Ledger

log = logging.getLogger(__name__)

_BATCH = 500  # outcomes a transaction; larger ones cost no less a row
_GATHER_S = 0.03  # how long the first outcome waits for company: a transaction costs as much as 50 rows
_RETRY_S = (0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True, eq=False)
class _Entry:
    outcome: Outcome
    durable: asyncio.Future[None]


class Recorder:
    """The only writer of results in a process. While the ledger is away nothing is dropped and nothing new is sent."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._waiting = 0
        self._healthy = True
        self._queue: list[_Entry] = []
        self._work = asyncio.Event()
        self._eased = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Results that are not yet committed."""
        return self._waiting

    def is_ready(self, slots: int) -> bool:
        """Whether commits succeed and at most one result a call slot waits for its own; asked before a call.

        So a ledger that refuses stops the calls at once, and one that hangs after one more call a slot.
        """
        return self._healthy and self._waiting < slots

    async def ready(self, slots: int) -> None:
        """Returns when it is."""
        while not self.is_ready(slots):
            self._eased.clear()
            await self._eased.wait()

    async def record(self, outcome: Outcome) -> None:
        """Returns when the outcome is committed. Raises LlmsweepError when the ledger refuses it for good."""
        entry = _Entry(outcome, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self._work.set()
        self._waiting += 1
        await entry.durable

    async def run(self) -> None:
        """Commits until cancelled; what is queued at that moment is committed by ``flush``."""
        while True:
            await self._work.wait()
            if len(self._queue) < _BATCH:
                await self._clock.sleep(_GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        """Commits all that is queued now."""
        while self._queue:
            batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
            await self._commit(batch)
        self._work.clear()

    async def _commit(self, batch: list[_Entry]) -> None:
        for attempt in itertools.count():
            try:
                await self._ledger.commit([entry.outcome for entry in batch])
            except LedgerUnavailable as exc:
                self._healthy = False
                log.warning("ledger away, results wait", extra={"results": len(batch), "error": str(exc)})
                await self._clock.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            except LlmsweepError as exc:
                await self._isolate(batch, exc)
                break
            else:
                self._resolve(batch)
                break
        self._healthy = True
        self._eased.set()

    async def _isolate(self, batch: list[_Entry], error: LlmsweepError) -> None:
        # One outcome that can't be stored must not take the others down with it.
        if len(batch) > 1:
            for entry in batch:
                await self._commit([entry])
            return
        entry = batch[0]
        log.error("a result can't be stored", extra={"error": str(error)})
        unstorable = {"type": "unstorable", "message": str(error)[:2000]}
        jobs = tuple(replace(job, state=JobState.FAILED, result=None, error=unstorable) for job in entry.outcome.jobs)
        calls = tuple(replace(call, response=None, error=unstorable) for call in entry.outcome.calls)
        if (jobs, calls) == (entry.outcome.jobs, entry.outcome.calls):
            self._resolve(batch, error)
            return
        # What the calls cost must be known whatever came back, also while their jobs are still tried.
        entry.outcome = replace(entry.outcome, jobs=jobs, calls=calls, vectors=(), adopted=())
        await self._commit([entry])

    def _resolve(self, batch: list[_Entry], error: LlmsweepError | None = None) -> None:
        self._waiting -= len(batch)
        for entry in batch:
            if entry.durable.done():
                continue
            if error is None:
                entry.durable.set_result(None)
            else:
                entry.durable.set_exception(error)
