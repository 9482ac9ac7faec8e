"""Who leads brings an answer: one call or several that race, other ways where it does not come, and parking."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from core.claims import Claims
from core.engine import Engine
from core.heartbeat import Hold, Stop
from core.judging import Item, Judge
from core.model import Answer, CallRecord, SweepState
from core.parcels import Called, CallOutcome, Closed, Halted, NotCalled, Parked
from core.ports import Claim, Follow, Lead
from core.race import Finish, Race, Runner
from core.rendering import Renderer
from core.together import patiently, together
from core.ways import Ways, away, failed, place_of

_BREAKER_ASK_S = 5.0  # how long to wait before asking an open breaker again, at most


class Run(Protocol):
    """The rest of the chunk's story, as its leader needs it."""

    async def take_hits(self, hits: list[tuple[Item, Answer]]) -> None: ...

    async def is_ours(self, item: Item, claim: Claim) -> bool: ...

    async def end(
        self,
        pairs: list[tuple[Item, Answer]],
        *,
        call: CallRecord | None = None,
        adopted: Mapping[int, CallRecord] | None = None,
    ) -> None: ...


class Leader:
    """A chunk's."""

    def __init__(
        self, engine: Engine, hold: Hold, *, judge: Judge, claims: Claims, renderer: Renderer, run: Run
    ) -> None:
        self._engine = engine
        self._hold = hold
        self._lease = hold.lease
        self._judge = judge
        self._claims = claims
        self._renderer = renderer
        self._run = run
        self._ways = Ways(lease=hold.lease, renderer=renderer, router=engine.router, meter=engine.meter)
        self._race = Race(
            caller=engine.caller,
            judge=judge,
            recorder=engine.recorder,
            hedges=engine.hedges,
            clock=engine.clock,
            hold=hold,
            parcel=renderer.parcel,
            hedge=hold.lease.policy.get("hedge", 0.0),
        )

    async def lead(self, items: list[Item]) -> None:
        """Calls for the items, all in one call, and brings their jobs to an end."""
        while items:
            items = await self._call(items)

    async def _call(self, items: list[Item]) -> list[Item]:
        """One call, or several that race. Returns what is still to be called for: later, or at another provider."""
        entrants = await self._entrants(items)
        if len(entrants) == 1 and not self._race.hedge:
            outcome = await self._engine.caller.call(self._renderer.parcel(items), self._hold)
            left = await self._ended(items, outcome)
        elif entrants:
            async with self._race.run(entrants) as finish:
                left = await self._decided(finish)
        else:
            left = []
        kept = {item.fingerprint for item in left}
        prints = {item.fingerprint for entrant in (items, *entrants) for item in entrant}
        await self._claims.release([print_ for print_ in prints if print_ not in kept])
        return left

    async def _entrants(self, items: list[Item]) -> list[list[Item]]:
        """Who is asked side by side, the items' own provider first. Empty: another's answer was there already."""
        more = self._lease.policy.get("parallel_attempts", 1) - 1
        if not more or items[0].repairs:
            return [items]
        if not self._ways.any_for(items[0]):
            return [items, *([replace(item) for item in items] for _ in range(more))]
        entrants = [items]
        for other in await self._ways.best(items[0], more, but=place_of(items[0].variant)):
            claim = await self._claims.now(other)
            if isinstance(claim, Lead):
                entrants.append([other])
            elif isinstance(claim, Answer) and not self._judge.objections([other], [claim]):
                await self._run.take_hits([(other, claim)])
                await self._claims.release([item.fingerprint for entrant in entrants for item in entrant])
                return []
        return entrants

    async def _decided(self, finish: Finish) -> list[Item]:
        items, outcome = finish.best.items, finish.best.outcome
        # First of all: who goes on to another provider may wait for a lead, and must hold none.
        own = {item.fingerprint for item in items}
        lost = {item.fingerprint for loser in finish.losers for item in loser.items}
        await self._claims.release(sorted(lost - own))
        for loser in finish.losers:
            items = [_informed(item, loser) for item in items] if len(items) == 1 else items
        parked = [r.outcome for r in finish.losers if isinstance(r.outcome, Parked) and self._is_own(r.items[0])]
        if finish.best.refused and isinstance(outcome, Called):
            _count(items, finish.sends)
            await self._run.end(list(zip(items, outcome.answers, strict=True)))
            left = []
        else:
            if isinstance(outcome, Called | NotCalled):
                outcome = replace(outcome, attempts=finish.sends)
            left = await self._ended(items, outcome or Halted())
        for refusal in parked[:1]:
            await self._park(refusal.reason, budget=refusal.budget)
        return left

    async def _ended(self, items: list[Item], outcome: CallOutcome) -> list[Item]:
        match outcome:
            case Called() as called:
                await self._called(items, called)
            case NotCalled() as refusal:
                _count(items, refusal.attempts)
                return await self._not_called(items, refusal)
            case Parked(reason=reason, budget=False) if not self._is_own(items[0]):
                return await self._not_called(items, NotCalled(error={"type": "Parked", "message": reason}))
            case Parked(reason=reason, budget=budget):
                await self._park(reason, budget=budget)
            case Closed(retry_in_s=retry_in_s):
                return await self._breaker_open(items, retry_in_s)
            case Halted():
                pass
        return []

    async def _called(self, items: list[Item], called: Called) -> None:
        _count(items, called.attempts)
        pairs = list(zip(items, called.answers, strict=True))
        for item, answer in pairs:
            if not answer.flaw:  # storing an answer has ended its lead; where it failed, the lead lapses
                self._hold.leads.pop(item.fingerprint, None)
        await self._run.end(pairs, call=called.record)

    def _is_own(self, item: Item) -> bool:
        return item.variant == self._lease.variant

    async def _park(self, reason: str, *, budget: bool) -> None:
        state = SweepState.BUDGET_EXHAUSTED if budget else SweepState.PAUSED
        cap = self._lease.budget_usd if budget else None
        sweep_id = self._lease.ref.sweep_id
        await patiently(
            self._engine.clock,
            lambda: self._engine.leases.park(sweep_id, state, reason, budget_usd=cap),
            lambda: self._hold.stop is Stop.DRAINING,
        )
        self._hold.halt(Stop.SWEEP)

    async def _not_called(self, items: list[Item], refusal: NotCalled) -> list[Item]:
        # One bad text fails the whole embedding call: halve until it stands alone.
        if len(items) > 1 and refusal.parts_may_pass:
            middle = len(items) // 2
            await together(self.lead(items[:middle]), self.lead(items[middle:]))
            return []
        if self._ways.any_for(items[0]):
            return await self._detour(failed(items[0], refusal.error), _BREAKER_ASK_S)
        await self._judge.fail(items, refusal.error)
        return []

    async def _breaker_open(self, items: list[Item], retry_in_s: float) -> list[Item]:
        policy = self._lease.policy.get("on_open")
        if policy == "fallback":
            items = await self._judge.fall_back(items, {"type": "BreakerOpen", "message": "the provider is down"})
        elif policy == "reroute" and self._ways.any_for(items[0]):
            return await self._detour(away(items[0]), retry_in_s)
        if items:
            await self._hold.patient(self._engine.clock.sleep(min(retry_in_s, _BREAKER_ASK_S)))
        return items

    async def _detour(self, item: Item, retry_in_s: float) -> list[Item]:
        """The same job for the best of the others that the sweep names; when all are down, after a while anew."""
        # Whoever waits for a lead must hold none: two that wait for each other's would do so for ever.
        await self._claims.release([item.fingerprint])
        again = await self._ways.next(item)
        if again is None and item.away:
            await self._hold.patient(self._engine.clock.sleep(min(retry_in_s, _BREAKER_ASK_S)))
            again = await self._ways.anew(item)
        if again is None:
            await self._judge.fail([item], self._ways.error(item))
            return []
        ours = await self._run.is_ours(again, Follow(fingerprint=again.fingerprint, seconds=0))
        return [again] if ours else []


def _count(items: list[Item], attempts: int) -> None:
    for item in items:
        item.attempts += attempts


def _informed(item: Item, loser: Runner) -> Item:
    """The item that knows what became of a call which lost: nobody is asked in vain again."""
    match loser.outcome:
        case Closed():
            return replace(item, away=item.away | {loser.items[0].variant.provider})
        case NotCalled(error=error):
            return replace(item, failed={**item.failed, str(place_of(loser.items[0].variant)): error})
        case Parked(reason=reason, budget=False):
            error = {"type": "Parked", "message": reason}
            return replace(item, failed={**item.failed, str(place_of(loser.items[0].variant)): error})
    return item
