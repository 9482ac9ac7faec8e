"""One run: the workers' engines on one virtual loop, until the last job has ended."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby

from core.admission import Entrance
from core.cache.memory import MemoryCache
from core.calling import Caller
from core.channels import Channel, Slots
from core.company import Company
from core.engine import Engine
from core.gate.memory import MemoryGate
from core.heartbeat import Heartbeat
from core.model import Accepted, Answer, ChunkRef, Job, JsonObject, Rejected, Request, Variant, Verdict
from core.pipeline import run_chunk
from core.ports import Kind, Meter
from core.recorder import Recorder
from core.retry import RetryPolicy
from core.settings import RULES, ProviderSettings, cache_scope, settings
from db.specs import Plan
from scripts.forecast import looping
from scripts.forecast.backends import (
    EARLIER_CALL,
    SWEEP_ID,
    Block,
    Count,
    Desk,
    DistantCache,
    DistantGate,
    FlowLedger,
    Known,
)
from scripts.forecast.earlier import Results
from scripts.forecast.provider import REFUSED, Core, Draws, ModelledProvider, Tally
from scripts.forecast.values import Situation

_START = 1_800_000_000.0
_AGAIN_S = 0.2  # the feeder's pause before it publishes a chunk that was given back
_LONG_AGO_S = 75.0  # what was sent before is out of every minute's count
_KEPT = 20_000  # answers that a run remembers for equal requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done. ``block``: a block of chunks' drafts by its number; ``waves``: of blocks, in turns."""

    plan: Plan
    kind: Kind
    meter: Meter
    waves: tuple[range, ...]
    block: Block
    known: Known
    budget_usd: float | None = None
    results: Results | None = None  # where waves need them


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run came to. ``curve``: (time, jobs ended by then)."""

    duration_s: float
    count: Count
    curve: list[tuple[float, int]]
    stopped: str
    in_flight_s: float  # seconds that calls were out, all together
    busy_s: float  # seconds of the workers' cores
    broken: bool = False  # the breaker opened


def play(work: Work, situation: Situation, *, seed: int, even: bool = False) -> Run:
    """Runs the work once. Another seed is another day. Raises looping.Stuck."""
    return looping.run(_play(work, situation, random.Random(seed), even=even))


async def _play(work: Work, situation: Situation, rng: random.Random, *, even: bool) -> Run:
    clock = looping.LoopClock(_START)
    models = {(variant.provider, variant.model) for variant in work.plan.variants}
    models |= {(target.provider, target.model) for target in work.plan.reroute}
    draws = {key: Draws(situation.manners[key], rng, even=even) for key in sorted(models)}
    gate = MemoryGate(lambda name: situation.limits[name], clock)
    sweep = _Sweep.of(work, situation, clock, gate, draws, rng)
    if situation.warm_calls:
        await _Sweep.of(_rehearsal(work, situation.warm_calls), situation, clock, gate, draws, rng).run()
        await clock.sleep(_LONG_AGO_S)
    await gate.set_spent(SWEEP_ID, 0.0)
    began = clock.monotonic()
    await clock.sleep(situation.machinery.pickup_s)
    await sweep.run()
    return Run(
        duration_s=sweep.ledger.last_s - began,
        count=sweep.ledger.count,
        curve=[(at - began, ended) for at, ended in sweep.ledger.curve],
        stopped=sweep.ledger.stopped,
        in_flight_s=sweep.tally.in_flight_s,
        busy_s=sum(core.busy_s for core in sweep.cores),
        broken=sweep.tally.turned_away > 0,
    )


def _rehearsal(work: Work, jobs: int) -> Work:
    """Some jobs of the sweep, for nothing but what the gate learns from them."""
    blocks = min(work.waves[0].stop, max(1, jobs // (work.plan.chunk_size * len(work.plan.variants))))
    return replace(work, waves=(range(blocks),), known=lambda _prints, _modality: {}, budget_usd=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """A sweep's work and what all workers share of it. The gate and the provider outlive it."""

    work: Work
    situation: Situation
    clock: looping.LoopClock
    ledger: FlowLedger
    gate: DistantGate
    cache: DistantCache
    draws: Mapping[tuple[str, str], Draws]
    rng: random.Random
    tally: Tally
    cores: list[Core] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        work: Work,
        situation: Situation,
        clock: looping.LoopClock,
        gate: MemoryGate,
        draws: Mapping[tuple[str, str], Draws],
        rng: random.Random,
    ) -> "_Sweep":
        trips, tally = situation.machinery, Tally()
        return cls(
            work=work,
            situation=situation,
            clock=clock,
            ledger=FlowLedger(
                plan=work.plan,
                block=work.block,
                known=work.known,
                clock=clock,
                trip_s=trips.ledger_s,
                budget_usd=work.budget_usd,
            ),
            gate=DistantGate(gate=gate, clock=clock, trip_s=trips.gate_s, tally=tally),
            cache=DistantCache(cache=MemoryCache(clock, most=_KEPT), clock=clock, trip_s=trips.cache_s),
            draws=draws,
            rng=rng,
            tally=tally,
        )

    async def run(self) -> None:
        """Until the last job has ended, or the sweep has stopped."""
        async with AsyncExitStack() as stack:
            engines = [await stack.enter_async_context(self.engine()) for _ in self.situation.workers]
            for wave in self.work.waves:
                await self.wave(wave, engines)

    async def wave(self, blocks: range, engines: list[Engine]) -> None:
        """All chunks of some blocks, in their providers' queues from the start."""
        variants = self.work.plan.variants
        queues: dict[str, deque[ChunkRef]] = {variant.provider: deque() for variant in variants}
        for no in range(blocks.start * len(variants), blocks.stop * len(variants)):
            queues[self.work.plan.variant(no).provider].append(ChunkRef(sweep_id=SWEEP_ID, no=no))
        await asyncio.gather(
            *(
                self._slot(engine, [queues[name] for name in sorted(queues) if name in worker.providers])
                for engine, worker in zip(engines, self.situation.workers, strict=True)
                for _ in range(worker.slots)
            )
        )

    async def _slot(self, engine: Engine, queues: list[deque[ChunkRef]]) -> None:
        while (queue := max(queues, key=len, default=None)) and not self.ledger.stopped:
            ref = queue.popleft()
            await run_chunk(engine, ref)
            if self.ledger.left(ref) and not self.ledger.stopped:
                queue.append(ref)
                await self.clock.sleep(_AGAIN_S)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """A worker's engine, with its background tasks."""
        owner, core = f"worker-{len(self.cores)}", Core(self.clock)
        self.cores.append(core)
        ledger = Desk(
            ledger=self.ledger, core=core, clock=self.clock, cached_cpu_s=self.situation.machinery.cached_cpu_s
        )
        recorder = Recorder(ledger, self.clock)
        heartbeat = Heartbeat(self.ledger, self.cache, self.clock, lease_s=settings().chunk_lease_s)
        channels = dict(self._channels(core))
        entrance = Entrance(
            gate=self.gate,
            ledger=ledger,
            recorder=recorder,
            meter=self.work.meter,
            channels=channels.__getitem__,
            clock=self.clock,
            owner=owner,
        )
        caller = Caller(
            entrance=entrance,
            cache=self.cache,
            recorder=recorder,
            meter=self.work.meter,
            channels=channels.__getitem__,
            clock=self.clock,
        )
        kind = _Indulgent(self.work.kind, self.work.results)
        tasks = [asyncio.create_task(recorder.run()), asyncio.create_task(heartbeat.run())]
        try:
            yield Engine(
                leases=self.ledger,
                ledger=ledger,
                cache=self.cache,
                caller=caller,
                recorder=recorder,
                heartbeat=heartbeat,
                meter=self.work.meter,
                kinds=lambda _: kind,
                clock=self.clock,
                owner=owner,
                company=Company(),
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _channels(self, core: Core) -> Iterator[tuple[str, Channel]]:
        # All providers: a sweep may be rerouted to one whose queue the worker does not serve.
        machinery = self.situation.machinery
        crowded = max(1.0, len(self.situation.workers) / self.situation.cores)
        for name, keys in groupby(sorted(self.draws), key=lambda key: key[0]):
            loaded = ProviderSettings() if name == RULES else settings().provider(name)
            yield (
                name,
                Channel(
                    provider=ModelledProvider(
                        name=name,
                        clock=self.clock,
                        draws={model: self.draws[name, model] for _, model in keys},
                        tokens=self.work.meter.prompt_tokens,
                        core=core,
                        cpu_s=machinery.cpu_s * crowded,
                        tally=self.tally,
                    ),
                    policy=replace(RetryPolicy.of(loaded), rng=self.rng),
                    slots=Slots(self.situation.concurrency[name]),
                    cache_ttl_s=loaded.cache_ttl,
                    scope="" if name == RULES else cache_scope(name, loaded),
                    shares=loaded.cache_enabled,
                    counts_tokens=self.situation.limits[name].tpm is not None,
                ),
            )


@dataclass(frozen=True, slots=True)
class _Indulgent:
    """The kind as it asks; it takes every answer but those that the model of the provider has made bad."""

    kind: Kind
    results: Results | None

    @property
    def name(self) -> str:
        return self.kind.name

    def request(self, job: Job, variant: Variant, options: JsonObject) -> Request:
        return self.kind.request(job, variant, options)

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:
        del options
        stored = answer.call_id == EARLIER_CALL
        if not stored and answer.text.startswith(REFUSED):
            return Rejected(reason="as many answers of this model are")
        return Accepted(result={} if self.results is None else self.results.of(job, answer, stored=stored))

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:
        return self.kind.fallback(job, options)
