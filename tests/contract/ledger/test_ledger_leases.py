"""What every ledger promises of leases. The in-memory twin and PostgreSQL pass the same sentences."""

import pytest

from core.model import (
    ChunkRef,
    Outcome,
    SweepState,
)
from core.sweep import Target
from tests.ledgers import World, done, drafts, ids, spec, take
from tests.records import call


async def test_a_lease_carries_what_the_spec_says(world: World) -> None:
    taken = await take(world, count=6, cache=False, on_open="wait", repair_turns=2)
    lease = taken.lease
    assert (lease.kind, lease.sweep_name, lease.owner, lease.jobs_total) == ("prompt", "sweep", "w1", 6)
    assert (lease.variant.provider, lease.variant.model) == ("openai", "small")
    assert dict(lease.options) == {"style": "google"}
    assert dict(lease.policy) == {
        "cache": False,
        "on_open": "wait",
        "on_reject": "fail",
        "repair_turns": 2,
        "parallel_attempts": 1,
        "hedge": 0.0,
    }
    assert lease.budget_usd == 2.5
    assert [job.key for job in taken.jobs] == ["key0", "key1", "key2", "key3"]
    assert taken.jobs[1].input == {"n": 1, "text": "ü\n\\"}


async def test_each_variant_of_a_block_has_a_chunk_of_its_own(world: World) -> None:
    targets = (Target(provider="openai", model="small"), Target(provider="azure", model="large"))
    sweep_id = world.add(spec(targets=targets, params={"temperature": [0, 1]}), drafts(6))
    found = {}
    for no in range(8):
        lease = await world.ledger.lease(ChunkRef(sweep_id=sweep_id, no=no), "w1")
        assert lease is not None
        keys = [job.key for job in await world.ledger.jobs(lease)]
        found[no] = (lease.variant.provider, lease.variant.params["temperature"], keys[0], len(keys))
    assert found[0] == ("openai", 0, "key0 @ openai/small temperature=0", 4)
    assert found[3] == ("azure", 1, "key0 @ azure/large temperature=1", 4)
    assert found[6] == ("azure", 0, "key4 @ azure/large temperature=0", 2)


async def test_a_leased_chunk_is_nobody_elses_not_even_its_owners_again(world: World) -> None:
    taken = await take(world)
    assert await world.ledger.lease(taken.lease.ref, "w2") is None
    assert await world.ledger.lease(taken.lease.ref, "w1") is None


async def test_a_chunk_that_does_not_exist_is_not_leased(world: World) -> None:
    assert await world.ledger.lease(ChunkRef(sweep_id=12345, no=0), "w1") is None


async def test_a_lapsed_lease_is_taken_over_with_a_higher_fence(world: World) -> None:
    taken = await take(world)
    world.lapse(taken.lease.ref)
    second = await world.ledger.lease(taken.lease.ref, "w2")
    assert second is not None
    assert second.fence > taken.lease.fence


async def test_renewing_tells_which_leases_hold_and_how_their_sweeps_are(world: World) -> None:
    taken = await take(world, count=8)
    other = await world.ledger.lease(ChunkRef(sweep_id=taken.sweep_id, no=1), "w1")
    assert other is not None
    world.lapse(other.ref)
    assert await world.ledger.lease(other.ref, "w2") is not None
    pulse = await world.ledger.renew([taken.lease, other])
    assert pulse.held == {(taken.lease.ref, taken.lease.fence)}
    assert pulse.sweeps == {taken.sweep_id: SweepState.RUNNING}


async def test_renewing_saves_a_lapsed_lease_that_nobody_has_taken(world: World) -> None:
    taken = await take(world)
    world.lapse(taken.lease.ref)
    assert (await world.ledger.renew([taken.lease])).held
    assert await world.ledger.lease(taken.lease.ref, "w2") is None


async def test_renewing_nothing_holds_nothing(world: World) -> None:
    pulse = await world.ledger.renew([])
    assert (pulse.held, dict(pulse.sweeps)) == (frozenset(), {})


async def test_a_chunk_with_pending_jobs_waits_after_its_worker_is_through(world: World) -> None:
    taken = await take(world)
    await world.ledger.finish(taken.lease)
    assert world.chunk(taken.lease.ref) == "waiting"
    assert await world.ledger.lease(taken.lease.ref, "w2") is not None


async def test_a_chunk_without_pending_jobs_is_finished_for_good(world: World) -> None:
    taken = await take(world)
    records = [call(i) for i in await ids(world, 4)]
    pairs = zip(records, taken.jobs, strict=True)
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(r,), jobs=(done(j, r),)) for r, j in pairs])
    await world.ledger.finish(taken.lease)
    assert world.chunk(taken.lease.ref) == "finished"
    assert await world.ledger.lease(taken.lease.ref, "w2") is None


async def test_only_its_owner_finishes_a_chunk(world: World) -> None:
    taken = await take(world)
    world.lapse(taken.lease.ref)
    assert await world.ledger.lease(taken.lease.ref, "w2") is not None
    await world.ledger.finish(taken.lease)
    assert world.chunk(taken.lease.ref) == "leased"


async def test_a_parked_sweep_leases_nothing_and_keeps_its_first_reason(world: World) -> None:
    sweep_id = world.add(spec(), drafts(8))
    await world.ledger.park(sweep_id, SweepState.PAUSED, "openai refuses the key")
    await world.ledger.park(sweep_id, SweepState.BUDGET_EXHAUSTED, "later")
    assert world.sweep(sweep_id) == (SweepState.PAUSED, "openai refuses the key")
    assert await world.ledger.lease(ChunkRef(sweep_id=sweep_id, no=0), "w1") is None


@pytest.mark.parametrize(("used_up", "state"), [(1.0, SweepState.RUNNING), (2.5, SweepState.BUDGET_EXHAUSTED)])
async def test_only_the_budget_that_the_sweep_has_now_parks_it(world: World, used_up: float, state: SweepState) -> None:
    sweep_id = world.add(spec(budget_usd=2.5), drafts(8))
    await world.ledger.park(sweep_id, SweepState.BUDGET_EXHAUSTED, "the budget is used up", budget_usd=used_up)
    assert world.sweep(sweep_id)[0] is state
