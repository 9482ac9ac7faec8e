"""Several calls for the same jobs: the first answer that they take wins, the others are given up and booked.

Side by side from the start (``parallel_attempts``), or a second one for a call that takes far too long (``hedge``).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from core.calling import Caller
from core.flight import Flight
from core.heartbeat import Hold, Stop
from core.hedging import Hedges, Key
from core.judging import Item, Judge
from core.model import Outcome
from core.parcels import Called, CallOutcome, Parcel
from core.ports import Clock
from core.recorder import Recorder

_LOOK_S = 0.5  # between looks whether a late call may be hedged by now


@dataclass(slots=True, eq=False, kw_only=True)
class Runner:
    """One call of a race, and what came of it. ``refused``: its answer was not taken, and is a row already."""

    items: list[Item]
    flight: Flight
    task: asyncio.Task[CallOutcome]
    outcome: CallOutcome | None = None  # None: not looked at yet
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """``best`` decides; ``losers`` ended before it, or are given up. ``sends``: calls that were sent in all."""

    best: Runner
    losers: tuple[Runner, ...]
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """A chunk's races. ``hedge``: the share of calls that may get a second one; 0: none."""

    caller: Caller
    judge: Judge
    recorder: Recorder
    hedges: Hedges
    clock: Clock
    hold: Hold
    parcel: Callable[[list[Item]], Parcel]
    hedge: float

    @asynccontextmanager
    async def run(self, entrants: Sequence[list[Item]]) -> AsyncIterator[Finish]:
        """The finish as soon as it is decided; losers are closed while the block runs, and are when it has ended."""
        with ExitStack() as stack:
            runners = [self._start(items, stack) for items in entrants]
            best: Runner | None = None
            try:
                best = await self._best(runners, stack)
                losers = [runner for runner in runners if runner is not best]
                for runner in losers:
                    runner.flight.hold.halt(Stop.BEATEN)
                yield _finish(best, losers)
            except asyncio.CancelledError:
                for runner in runners:
                    runner.task.cancel()
                raise
            finally:
                await self._close([runner for runner in runners if runner is not best])

    def _start(self, items: list[Item], stack: ExitStack) -> Runner:
        flight = Flight(hold=stack.enter_context(self.hold.branch()))
        call = self.caller.call(self.parcel(items), flight.hold, flight)
        return Runner(items=items, flight=flight, task=asyncio.create_task(call))

    async def _best(self, runners: list[Runner], stack: ExitStack) -> Runner:
        overdue = asyncio.create_task(self._overdue(runners[0], alone=len(runners) == 1))
        watch: list[asyncio.Task[bool]] = [overdue]
        try:
            while running := [runner for runner in runners if runner.outcome is None]:
                tasks: list[asyncio.Task[Any]] = [runner.task for runner in running]
                await asyncio.wait(tasks + watch, return_when=asyncio.FIRST_COMPLETED)
                for runner in running:
                    if runner.task.done() and await self._wins(runner, runners):
                        return runner
                if watch and overdue.done():
                    watch.clear()
                    if overdue.result():
                        runners.append(self._start([replace(item) for item in runners[0].items], stack))
        finally:
            overdue.cancel()
        return next((runner for runner in runners if runner.refused), runners[0])

    async def _wins(self, runner: Runner, runners: list[Runner]) -> bool:
        runner.outcome = outcome = runner.task.result()
        if not isinstance(outcome, Called):
            return False
        if self.hedge and outcome.record.latency_ms is not None:
            self.hedges.learn(_key(runner.items), outcome.record.latency_ms / 1000)
        if all(other.outcome is not None for other in runners):
            return True  # taken or not: there is no other to wait for
        reasons = self.judge.objections(runner.items, outcome.answers)
        if reasons:
            runner.refused = True
            await self._keep(runner, outcome, reasons)
        return not reasons

    async def _keep(self, runner: Runner, called: Called, reasons: Sequence[str]) -> None:
        """Books a call whose answer ends no job: now, for what was paid must not hang on how the race ends."""
        record = self.judge.marked(called.record, reasons)
        await self.recorder.record(Outcome(lease=self.hold.lease, calls=(record,)))
        runner.items[0].refused += (record,)

    async def _close(self, losers: Sequence[Runner]) -> None:
        for runner in losers:
            runner.flight.hold.halt(Stop.BEATEN)
        ends = await asyncio.gather(*(runner.task for runner in losers), return_exceptions=True)
        for runner, end in zip(losers, ends, strict=True):
            if isinstance(end, BaseException):
                raise end
            if runner.outcome is None and isinstance(end, Called):  # it came in the same moment as the winner
                await self._keep(runner, end, self.judge.objections(runner.items, end.answers))

    async def _overdue(self, runner: Runner, *, alone: bool) -> bool:
        """Whether a second call is due: waits until it is, or for nothing once the answer is there."""
        if not (alone and self.hedge):
            return False
        sweep_id, flight = self.hold.lease.ref.sweep_id, runner.flight
        self.hedges.called(sweep_id)
        await flight.departed.wait()
        waited = 0.0
        while flight.in_air and flight.sends == 1 and self.hold.stop is None:
            patience_s = self.hedges.patience_s(_key(runner.items))
            if patience_s is not None and waited >= patience_s and self.hedges.take(sweep_id, self.hedge):
                return True
            pause_s = _LOOK_S if patience_s is None or waited >= patience_s else patience_s - waited
            await self.clock.sleep(pause_s)
            waited += pause_s
        return False


def _finish(best: Runner, losers: Sequence[Runner]) -> Finish:
    for runner in losers:
        if runner.refused:  # who takes an answer pays for the refused ones, too
            best.items[0].refused += runner.items[0].refused
    sends = best.flight.sends + sum(runner.flight.sends for runner in losers)
    return Finish(best=best, losers=tuple(losers), sends=sends)


def _key(items: Sequence[Item]) -> Key:
    first = items[0].request
    return first.provider, first.model, first.version
