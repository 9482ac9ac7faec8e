"""The whole story of a chunk, readable top to bottom.

lease -> load -> render -> look all up -> claim the rest -> call -> judge -> record -> finish.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.calling import Caller
from core.claims import CacheAndFlights, Claims
from core.company import Company
from core.heartbeat import Heartbeat, Hold, Stop
from core.hedging import Hedges
from core.judging import Item, Judge
from core.model import Answer, CallRecord, ChunkRef, EmbeddingRequest, Job, SweepState
from core.packing import pack
from core.parcels import Called, CallOutcome, Closed, Halted, NotCalled, Parked
from core.ports import ChunkSummary, Claim, Clock, Follow, Kind, Lead, Leases, Ledger, Meter
from core.race import Finish, Race, Runner
from core.recorder import Recorder
from core.rendering import Renderer
from core.routing import Router
from core.together import patiently, together
from core.ways import Ways, away, failed, place_of

T = TypeVar("T")

log = logging.getLogger(__name__)

_TAKES = 3  # without progress: the jobs of a chunk that kills its workers run alone
_DEATHS = 3  # while a job ran alone: it is poison
_BREAKER_ASK_S = 5.0  # how long to wait before asking an open breaker again, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a chunk needs. Made once a process, in ``workers.runtime``."""

    leases: Leases
    ledger: Ledger
    cache: CacheAndFlights
    caller: Caller
    recorder: Recorder
    heartbeat: Heartbeat
    meter: Meter
    kinds: Callable[[str], Kind]
    clock: Clock
    owner: str
    company: Company
    router: Router = field(default_factory=Router)
    hedges: Hedges = field(default_factory=Hedges)


async def run_chunk(engine: Engine, ref: ChunkRef) -> ChunkSummary | None:
    """Brings a chunk's pending jobs to their final states. None: somebody else has it, or its sweep is not running.

    Raises LedgerUnavailable before any call was made; afterwards results wait for the ledger.
    """
    lease = await engine.leases.lease(ref, engine.owner)
    if lease is None:
        return None
    async with engine.heartbeat.hold(lease) as hold:
        run = _Run(engine, hold)
        try:
            jobs = await engine.ledger.jobs(lease)
            await run.work(jobs)
        finally:
            await run.claims.release(tuple(hold.leads))
            if hold.stop is not Stop.LOST:
                await run.finish()
    return run.judge.summary(len(jobs))


class _Run:
    """One chunk in work."""

    def __init__(self, engine: Engine, hold: Hold) -> None:
        self._engine = engine
        self._hold = hold
        self._lease = hold.lease
        self._kind = engine.kinds(hold.lease.kind)
        self.claims = Claims(
            cache=engine.cache, ledger=engine.ledger, clock=engine.clock, owner=engine.owner, hold=hold
        )
        self.judge = Judge(kind=self._kind, lease=hold.lease, recorder=engine.recorder)
        self._renderer = Renderer(kind=self._kind, lease=hold.lease, caller=engine.caller)
        self._ways = Ways(lease=hold.lease, renderer=self._renderer, router=engine.router, meter=engine.meter)
        self._race = Race(
            caller=engine.caller,
            judge=self.judge,
            recorder=engine.recorder,
            hedges=engine.hedges,
            clock=engine.clock,
            hold=hold,
            parcel=self._renderer.parcel,
            hedge=hold.lease.policy.get("hedge", 0.0),
        )

    async def work(self, jobs: Sequence[Job]) -> None:
        """All at once; one by one where something in the chunk seems to kill its workers."""
        if self._lease.stalled < _TAKES and not any(job.deaths for job in jobs):
            async with self._engine.company.together():
                await self.resolve(await self.items(jobs))
            return
        log.warning("a chunk's workers keep dying, its jobs run alone", extra={"takes": self._lease.stalled})
        for job in jobs:
            async with self._engine.company.alone():
                await self._work_alone(job)

    async def _work_alone(self, job: Job) -> None:
        if self._hold.stop is not None:
            return
        if job.deaths >= _DEATHS:
            await self.judge.unusable(job, {"type": "Poison", "message": f"it killed its worker {job.deaths} times"})
        elif await self._patiently(lambda: self._engine.leases.alone(self._lease, job.id)):
            await self.resolve(await self.items([job]))
        else:
            self._hold.halt(Stop.LOST)

    async def finish(self) -> None:
        """Gives the chunk back."""
        await self._patiently(lambda: self._engine.leases.finish(self._lease))

    # -- render

    async def items(self, jobs: Sequence[Job]) -> list[Item]:
        """Renders the jobs' requests; equal ones become one item. A job that can't be rendered fails alone."""
        by_print: dict[str, Item] = {}
        for job in jobs:
            try:
                item = self._renderer.item(job)
            except Exception as exc:  # the boundary of a job: whatever its input does, the others go on
                log.exception("a job can't be rendered", extra={"job": job.key})
                await self.judge.unusable(job, {"type": type(exc).__name__, "message": str(exc)[:2000]})
                continue
            known = by_print.setdefault(item.fingerprint, item)
            if known is not item:
                known.jobs.append(job)
        return list(by_print.values())

    # -- look up and claim

    async def resolve(self, items: Sequence[Item]) -> None:
        """Hits end here and cost nothing; of the rest, each fingerprint is called once in the whole cluster."""
        hits = await self.claims.lookup(items)
        claims = await self.claims.claim([item for item in items if item.fingerprint not in hits])
        found = [(item, hits[item.fingerprint]) for item in items if item.fingerprint in hits]
        found += [(item, claim) for item, claim in claims if isinstance(claim, Answer)]
        parcels = self._parcels([item for item, claim in claims if isinstance(claim, Lead)])
        await together(
            self._take_hits(found),
            *(self._lead(parcel) for parcel in parcels),
            *(self._follow(item, claim) for item, claim in claims if isinstance(claim, Follow)),
        )

    def _parcels(self, items: list[Item]) -> list[list[Item]]:
        texts = [item.request.text for item in items if isinstance(item.request, EmbeddingRequest)]
        if not texts:
            return [[item] for item in items]
        # A token has a byte at least: what fits in one call by its bytes need not be counted.
        packs = pack([len(text.encode(errors="replace")) for text in texts])
        if len(packs) > 1:
            packs = pack([self._engine.meter.prompt_tokens(item.request) for item in items])
        return [[items[i] for i in indexes] for indexes in packs]

    async def _follow(self, item: Item, claim: Claim) -> None:
        if await self._is_ours(item, claim):
            await self._lead([item])

    async def _is_ours(self, item: Item, claim: Claim) -> bool:
        found = await self.claims.wait(item, claim)
        if isinstance(found, Answer):
            await self._take_hits([(item, found)])
        return isinstance(found, Lead)

    # -- call

    async def _lead(self, items: list[Item]) -> None:
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
        await self.claims.release([print_ for print_ in prints if print_ not in kept])
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
            claim = await self.claims.now(other)
            if isinstance(claim, Lead):
                entrants.append([other])
            elif isinstance(claim, Answer) and not self.judge.objections([other], [claim]):
                await self._take_hits([(other, claim)])
                await self.claims.release([item.fingerprint for entrant in entrants for item in entrant])
                return []
        return entrants

    async def _decided(self, finish: Finish) -> list[Item]:
        items, outcome = finish.best.items, finish.best.outcome
        # First of all: who goes on to another provider may wait for a lead, and must hold none.
        own = {item.fingerprint for item in items}
        lost = {item.fingerprint for loser in finish.losers for item in loser.items}
        await self.claims.release(sorted(lost - own))
        for loser in finish.losers:
            items = [_informed(item, loser) for item in items] if len(items) == 1 else items
        parked = [r.outcome for r in finish.losers if isinstance(r.outcome, Parked) and self._is_own(r.items[0])]
        if finish.best.refused and isinstance(outcome, Called):
            _count(items, finish.sends)
            await self._end(list(zip(items, outcome.answers, strict=True)))
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
        await self._end(pairs, call=called.record)

    def _is_own(self, item: Item) -> bool:
        return item.variant == self._lease.variant

    async def _park(self, reason: str, *, budget: bool) -> None:
        state = SweepState.BUDGET_EXHAUSTED if budget else SweepState.PAUSED
        cap = self._lease.budget_usd if budget else None
        sweep_id = self._lease.ref.sweep_id
        await self._patiently(lambda: self._engine.leases.park(sweep_id, state, reason, budget_usd=cap))
        self._hold.halt(Stop.SWEEP)

    async def _not_called(self, items: list[Item], refusal: NotCalled) -> list[Item]:
        # One bad text fails the whole embedding call: halve until it stands alone.
        if len(items) > 1 and refusal.parts_may_pass:
            middle = len(items) // 2
            await together(self._lead(items[:middle]), self._lead(items[middle:]))
            return []
        if self._ways.any_for(items[0]):
            return await self._detour(failed(items[0], refusal.error), _BREAKER_ASK_S)
        await self.judge.fail(items, refusal.error)
        return []

    async def _breaker_open(self, items: list[Item], retry_in_s: float) -> list[Item]:
        policy = self._lease.policy.get("on_open")
        if policy == "fallback":
            items = await self.judge.fall_back(items, {"type": "BreakerOpen", "message": "the provider is down"})
        elif policy == "reroute" and self._ways.any_for(items[0]):
            return await self._detour(away(items[0]), retry_in_s)
        if items:
            await self._hold.patient(self._engine.clock.sleep(min(retry_in_s, _BREAKER_ASK_S)))
        return items

    async def _detour(self, item: Item, retry_in_s: float) -> list[Item]:
        """The same job for the best of the others that the sweep names; when all are down, after a while anew."""
        # Whoever waits for a lead must hold none: two that wait for each other's would do so for ever.
        await self.claims.release([item.fingerprint])
        again = await self._ways.next(item)
        if again is None and item.away:
            await self._hold.patient(self._engine.clock.sleep(min(retry_in_s, _BREAKER_ASK_S)))
            again = await self._ways.anew(item)
        if again is None:
            await self.judge.fail([item], self._ways.error(item))
            return []
        ours = await self._is_ours(again, Follow(fingerprint=again.fingerprint, seconds=0))
        return [again] if ours else []

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        # What siblings have in flight is paid for: an absent ledger is waited for, not run away from.
        return await patiently(self._engine.clock, ask, lambda: self._hold.stop is Stop.DRAINING)

    # -- end

    async def _take_hits(self, hits: list[tuple[Item, Answer]]) -> None:
        if hits:
            await self._end(hits, adopted=await self.claims.adopt(sorted({answer.call_id for _, answer in hits})))

    async def _end(
        self,
        pairs: list[tuple[Item, Answer]],
        *,
        call: CallRecord | None = None,
        adopted: Mapping[int, CallRecord] | None = None,
    ) -> None:
        repairs = await self.judge.end(pairs, call=call, adopted=adopted or {})
        if repairs and self._hold.stop is None:
            await self.resolve(repairs)


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
