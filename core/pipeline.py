"""The whole story of a chunk, readable top to bottom.

lease -> load -> render -> look all up -> claim the rest -> call -> judge -> record -> finish.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from core.claims import Claims
from core.engine import Engine
from core.heartbeat import Hold, Stop
from core.judging import Item, Judge
from core.leading import Leader
from core.model import Answer, CallRecord, ChunkRef, EmbeddingRequest, Job
from core.packing import pack
from core.ports import ChunkSummary, Claim, Follow, Lead
from core.rendering import Renderer
from core.together import patiently, together

T = TypeVar("T")

log = logging.getLogger(__name__)

_TAKES = 3  # without progress: the jobs of a chunk that kills its workers run alone
_DEATHS = 3  # while a job ran alone: it is poison


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
        self._leader = Leader(engine, hold, judge=self.judge, claims=self.claims, renderer=self._renderer, run=self)

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
            self.take_hits(found),
            *(self._leader.lead(parcel) for parcel in parcels),
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
        if await self.is_ours(item, claim):
            await self._leader.lead([item])

    async def is_ours(self, item: Item, claim: Claim) -> bool:
        """Whether the item is to be called for here; answers that others bring meanwhile are taken."""
        found = await self.claims.wait(item, claim)
        if isinstance(found, Answer):
            await self.take_hits([(item, found)])
        return isinstance(found, Lead)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        # What siblings have in flight is paid for: an absent ledger is waited for, not run away from.
        return await patiently(self._engine.clock, ask, lambda: self._hold.stop is Stop.DRAINING)

    # -- end

    async def take_hits(self, hits: list[tuple[Item, Answer]]) -> None:
        """Ends items whose answers were there already."""
        if hits:
            await self.end(hits, adopted=await self.claims.adopt(sorted({answer.call_id for _, answer in hits})))

    async def end(
        self,
        pairs: list[tuple[Item, Answer]],
        *,
        call: CallRecord | None = None,
        adopted: Mapping[int, CallRecord] | None = None,
    ) -> None:
        """Judges and records; what gets a repair turn is resolved anew."""
        repairs = await self.judge.end(pairs, call=call, adopted=adopted or {})
        if repairs and self._hold.stop is None:
            await self.resolve(repairs)
