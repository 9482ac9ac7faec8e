"""What every ledger keeps of workers that died, so that a job which kills them is found."""

from core.model import Lease, Outcome
from tests.ledgers import Taken, World, done, ids, take
from tests.records import call


async def after_a_crash(world: World, taken: Taken) -> Lease:
    world.lapse(taken.lease.ref)
    lease = await world.ledger.lease(taken.lease.ref, "w2")
    assert lease is not None
    return lease


async def test_takes_without_progress_are_counted(world: World) -> None:
    taken = await take(world)
    assert taken.lease.stalled == 1
    assert (await after_a_crash(world, taken)).stalled == 2
    assert (await after_a_crash(world, taken)).stalled == 3


async def test_a_job_that_ends_is_progress(world: World) -> None:
    taken = await take(world)
    [call_id] = await ids(world, 1)
    record = call(call_id)
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,), jobs=(done(taken.jobs[0], record),))])
    assert (await after_a_crash(world, taken)).stalled == 1


async def test_a_chunk_that_was_given_back_is_under_no_suspicion(world: World) -> None:
    taken = await take(world)
    second = await after_a_crash(world, taken)
    assert await world.ledger.alone(second, taken.jobs[0].id)
    await world.ledger.finish(second)
    third = await world.ledger.lease(second.ref, "w3")
    assert third is not None
    assert third.stalled == 1
    assert {job.deaths for job in await world.ledger.jobs(third)} == {0}


async def test_a_job_that_ran_alone_when_its_worker_died_bears_the_mark(world: World) -> None:
    taken = await take(world)
    first, *others = taken.jobs
    assert await world.ledger.alone(taken.lease, first.id)
    second = await after_a_crash(world, taken)
    assert await world.ledger.alone(second, first.id)
    deaths = {job.id: job.deaths for job in await world.ledger.jobs(second)}
    assert deaths == {first.id: 2, **{job.id: 0 for job in others}}


async def test_only_the_lease_holder_marks_a_job(world: World) -> None:
    taken = await take(world)
    second = await after_a_crash(world, taken)
    assert not await world.ledger.alone(taken.lease, taken.jobs[0].id)
    assert {job.deaths for job in await world.ledger.jobs(second)} == {0}
