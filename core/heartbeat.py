"""One heartbeat a process: renews its leases and its single-flight leads, and learns which sweeps to stop.

It runs every half second while there is work, so that a cancelled sweep sends no call a second later.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.errors import Unavailable
from core.model import ChunkRef, Lease, SweepState
from core.ports import Clock, Lead, Leases, SingleFlight

log = logging.getLogger(__name__)

_BEAT_S = 0.5
_LEADS_EVERY = 4  # beats; a lead lives for 10 s


class Stop(StrEnum):
    """Why a chunk's remaining jobs are not called; ``BEATEN``: why one of several calls for them is not."""

    LOST = "lease lost"
    SWEEP = "sweep not running"
    DRAINING = "worker shutting down"
    BEATEN = "another call for the same jobs was faster"


@dataclass(slots=True, eq=False)
class Hold:
    """A lease in use. ``stop`` is asked right before every call.

    ``sure_until``: until then nobody else can have the chunk, by the clock's monotonic time. A process that stood still
    must not send a call before it has asked again: its jobs may be done.
    """

    lease: Lease
    stop: Stop | None = None
    sure_until: float = math.inf
    leads: dict[str, Lead] = field(default_factory=dict)
    _sleeping: set[asyncio.Future[bool]] = field(default_factory=set)
    _branches: "set[Hold]" = field(default_factory=set)

    @contextmanager
    def branch(self) -> "Iterator[Hold]":
        """A hold for one of several calls for the same jobs: it stops with this one, or by itself."""
        branch = Hold(lease=self.lease, stop=self.stop, sure_until=self.sure_until)
        self._branches.add(branch)
        try:
            yield branch
        finally:
            self._branches.discard(branch)

    def assure(self, until: float) -> None:
        """Nobody else can have the chunk before then."""
        self.sure_until = until
        for branch in self._branches:
            branch.assure(until)

    def halt(self, why: Stop) -> None:
        """The first reason stays. Who sleeps is woken."""
        self.stop = self.stop or why
        for branch in self._branches:
            branch.halt(why)
        for turn in self._sleeping:
            if not turn.done():
                turn.set_result(False)

    @contextmanager
    def waking(self, turn: asyncio.Future[bool]) -> Iterator[None]:
        """Inside the block, a halt resolves the future with False."""
        self._sleeping.add(turn)
        try:
            yield
        finally:
            self._sleeping.discard(turn)

    async def patient(self, wait: Coroutine[Any, Any, None]) -> None:
        """Waits, but not beyond a halt: a Retry-After of an hour must not keep a worker from stopping."""
        halted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(wait)
        try:
            with self.waking(halted):
                if self.stop is None:
                    await asyncio.wait((waiting, halted), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                waiting.result()
        finally:
            waiting.cancel()


class Heartbeat:
    """Keeps the process's holds alive. ``run`` is one task for the life of the process."""

    def __init__(self, leases: Leases, flights: SingleFlight, clock: Clock, *, lease_s: float) -> None:
        self._leases = leases
        self._flights = flights
        self._clock = clock
        self._lease_s = lease_s
        self._holds: set[Hold] = set()
        self._busy = asyncio.Event()
        self._draining = False

    @asynccontextmanager
    async def hold(self, lease: Lease) -> AsyncIterator[Hold]:
        """Keeps a lease alive inside the block."""
        held = Hold(
            lease=lease,
            stop=Stop.DRAINING if self._draining else None,
            sure_until=self._clock.monotonic() + self._lease_s,
        )
        self._holds.add(held)
        self._busy.set()
        try:
            yield held
        finally:
            self._holds.discard(held)

    def drain(self) -> None:
        """No new call from now on; what is in flight ends in peace."""
        self._draining = True
        for held in self._holds:
            held.halt(Stop.DRAINING)

    async def run(self) -> None:
        """Beats until cancelled; idles without a query when there is no work."""
        beats = 0
        while True:
            if not self._holds:
                self._busy.clear()
                await self._busy.wait()
            await self._clock.sleep(_BEAT_S)
            beats += 1
            await self.beat(with_leads=beats % _LEADS_EVERY == 0)

    async def beat(self, *, with_leads: bool = True) -> None:
        """One beat. A server that is away is no reason to stop: the fence protects the rows.

        But no call is sent on a lease that may have lapsed meanwhile (``Hold.sure_until``).
        """
        holds = list(self._holds)
        sure_until = self._clock.monotonic() + self._lease_s
        try:
            pulse = await self._leases.renew([held.lease for held in holds])
        except Unavailable as exc:
            log.warning("heartbeat missed", extra={"error": str(exc)})
        else:
            for held in holds:
                held.assure(sure_until)
                _judge(held, pulse.held, pulse.sweeps.get(held.lease.ref.sweep_id))
        if with_leads:
            await self._renew_leads(holds)

    async def _renew_leads(self, holds: list[Hold]) -> None:
        leads = [lead for held in holds for lead in held.leads.values()]
        if not leads:
            return
        try:
            await self._flights.renew(leads)
        except Unavailable as exc:
            log.warning("single-flight leads not renewed", extra={"error": str(exc)})


def _judge(held: Hold, alive: frozenset[tuple[ChunkRef, int]], state: SweepState | None) -> None:
    if (held.lease.ref, held.lease.fence) not in alive:
        held.halt(Stop.LOST)
    elif state is not SweepState.RUNNING:
        held.halt(Stop.SWEEP)
