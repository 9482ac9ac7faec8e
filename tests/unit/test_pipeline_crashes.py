"""What a chunk does after workers have died of it, and while the ledger does not answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.errors import LedgerUnavailable, MalformedAnswer
from core.model import ChatRequest, ChunkRef, JobState, Lease, Outcome, Usage
from core.pipeline import run_chunk
from core.ports import Pulse
from db.memory import MemoryLedger
from tests.world import World, echo


@pytest.fixture
def world() -> World:
    return World()


async def crash(world: World, sweep: int, *, alone: int | None = None) -> None:
    """A worker takes the chunk, perhaps begins to run one of its jobs alone, and is never heard of again."""
    lease = await world.ledger.lease(ChunkRef(sweep_id=sweep, no=0), "dead")
    assert lease is not None
    if alone is not None:
        assert await world.ledger.alone(lease, alone)
    await world.clock.sleep(world.ledger.lease_s + 1)


async def test_a_chunk_that_two_workers_did_not_survive_runs_its_jobs_one_by_one(world: World) -> None:
    sweep = world.submit("a", "b", "c")
    for _ in range(2):
        await crash(world, sweep)

    await world.run(sweep)

    assert world.provider.most_in_flight == 1
    assert world.states(sweep) == [JobState.DONE] * 3


async def test_a_job_that_killed_three_workers_is_poison_and_the_others_finish(world: World) -> None:
    sweep = world.submit("a", "b", "c")
    deadly = world.rows(sweep)[1].job.id
    for _ in range(3):
        await crash(world, sweep, alone=deadly)

    await world.run(sweep)

    done, failed = JobState.DONE, JobState.FAILED
    assert world.states(sweep) == [done, failed, done]
    error = world.rows(sweep)[1].result.error
    assert error is not None
    assert error["type"] == "Poison"
    assert world.provider.asked == ["a", "c"]


async def test_a_worker_that_gives_the_chunk_back_clears_it_of_suspicion(world: World) -> None:
    sweep = world.submit("a", "b", "c")
    first = world.rows(sweep)[0].job.id
    await crash(world, sweep, alone=first)
    async with world.engine() as engine:
        engine.heartbeat.drain()
        await run_chunk(engine, ChunkRef(sweep_id=sweep, no=0))

    await world.run(sweep)

    assert world.provider.most_in_flight == 3
    assert world.states(sweep) == [JobState.DONE] * 3


async def test_a_job_alone_has_no_other_chunk_beside_it(world: World) -> None:
    suspect, other = world.submit("a", "b"), world.submit("x", "y")
    for _ in range(2):
        await crash(world, suspect)

    async with world.engine() as engine:
        await asyncio.gather(*(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)) for sweep in (suspect, other)))

    assert world.provider.most_in_flight <= 2  # x and y; never a or b with one of them
    assert world.states(suspect) + world.states(other) == [JobState.DONE] * 4


@dataclass(slots=True, kw_only=True)
class Hanging(MemoryLedger):
    """Takes commits and does not answer until ``back`` is set."""

    back: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        await self.back.wait()
        await MemoryLedger.commit(self, outcomes)


async def test_a_ledger_that_hangs_stops_the_calls_after_one_more_a_slot() -> None:
    world = World(slots=4)
    ledger = world.ledger = Hanging(lease_s=10, clock=world.clock)
    sweep = world.submit(*(f"ask {i}" for i in range(50)))

    async with world.engine() as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await world.clock.sleep(60)
        asked = len(world.provider.asked)
        ledger.back.set()
        await chunk

    assert 0 < asked <= 2 * world.slots
    assert len(world.provider.asked) == 50
    assert world.states(sweep) == [JobState.DONE] * 50


@dataclass(slots=True, kw_only=True)
class Distant(MemoryLedger):
    """Answers a heartbeat after a while."""

    async def renew(self, leases: Sequence[Lease]) -> Pulse:
        await self.clock.sleep(0.4)
        return await MemoryLedger.renew(self, leases)


async def test_a_worker_that_stood_still_longer_than_its_lease_sends_nothing_before_it_has_asked() -> None:
    world = World(slots=1)
    world.ledger = Distant(lease_s=10, clock=world.clock)
    sweep = world.submit("a", "b", "c")
    ref = ChunkRef(sweep_id=sweep, no=0)

    def frozen(request: ChatRequest) -> str:
        # While its first call is in flight the process is stopped; another worker takes the chunk meanwhile.
        world.clock.jump(60)
        world.ledger.chunks[ref].takes += 1
        return echo(request)

    world.provider.script = frozen

    await world.run(sweep)

    assert len(world.provider.asked) == 1


@dataclass(slots=True, kw_only=True)
class Absent(MemoryLedger):
    """Refuses to end a lease for the first few times."""

    refusals: int = 3

    async def finish(self, lease: Lease) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise LedgerUnavailable("read-only")
        await MemoryLedger.finish(self, lease)


async def test_a_chunk_is_given_back_when_the_ledger_is_there_again() -> None:
    world = World()
    world.ledger = Absent(lease_s=10, clock=world.clock)
    sweep = world.submit("a")

    summary = await world.run(sweep)

    assert summary is not None
    assert summary.done == 1
    assert world.ledger.chunks[ChunkRef(sweep_id=sweep, no=0)].state == "finished"


async def test_an_answer_without_choices_costs_what_it_counts_or_nothing(world: World) -> None:
    error = MalformedAnswer("no choices", usage=Usage(prompt=10, completion=5))
    world.provider.script = lambda _: error
    sweep = world.submit("a")

    await world.run(sweep)

    assert {(call.cost_usd, call.cost_max_usd) for call in world.ledger.calls.values()} == {(None, 0.01)}
    total = world.ledger.total(sweep)
    assert (total.cost_nano, total.cost_max_nano) == (0, 3 * 10_000_000)
