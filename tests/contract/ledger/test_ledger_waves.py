"""Waves: a job sees what jobs of earlier waves have brought, and is not fed before they have ended."""

from collections.abc import Sequence

from core.model import ChunkRef, Job, JobDraft, JobResult, JobState, Lease, Outcome
from core.sweep import SweepSpec, Target
from db.engine import connect
from db.feed import Feed
from db.results import rows
from db.submission import submit
from tests.ledgers import Both, PostgresWorld, World

LABELS = (" @ openai/small", " @ azure/large")


def spec() -> SweepSpec:
    targets = (Target(provider="openai", model="small"), Target(provider="azure", model="large"))
    return SweepSpec(name="waves", kind="prompt", targets=targets, chunk_size=2)


def draft(key: str, wave: int, **needs: str) -> JobDraft:
    return JobDraft(key=key, input={"needs": needs} if needs else {}, wave=wave)


# Chunks 0 to 3 hold the first wave's three inputs, 4 and 5 the second's, 6 and 7 the third's.
DRAFTS = (
    draft("a", 0),
    draft("b", 0),
    draft("c", 0),
    draft("d", 1, one="a", two="b", three="c", same="e", gone="nowhere"),
    draft("e", 1),
    draft("f", 3, it="d"),
)


async def take(ledger: Both, sweep_id: int, no: int) -> tuple[Lease, Sequence[Job]]:
    lease = await ledger.lease(ChunkRef(sweep_id=sweep_id, no=no), "w")
    assert lease is not None
    return lease, await ledger.jobs(lease)


async def work(ledger: Both, sweep_id: int, no: int, state: JobState = JobState.DONE) -> None:
    lease, jobs = await take(ledger, sweep_id, no)
    results = [JobResult(job_id=job.id, state=state, result={"of": job.key}) for job in jobs]
    await ledger.commit([Outcome(lease=lease, jobs=tuple(results))])
    await ledger.finish(lease)


async def test_a_job_sees_what_its_own_variants_jobs_of_earlier_waves_have_brought(world: World) -> None:
    sweep_id = world.add(spec(), DRAFTS)
    for no in (0, 1):
        await work(world.ledger, sweep_id, no)
    for no in (2, 3):
        await work(world.ledger, sweep_id, no, JobState.FALLBACK)
    for no, label in zip((4, 5), LABELS, strict=True):
        lease, jobs = await take(world.ledger, sweep_id, no)
        assert lease.wave_start == 4
        assert [job.key for job in jobs] == ["d" + label, "e" + label]
        assert jobs[0].earlier == {"one": {"of": "a" + label}, "two": {"of": "b" + label}}
        assert jobs[1].earlier == {}


async def test_jobs_of_the_first_wave_and_of_the_same_one_are_not_seen(world: World) -> None:
    sweep_id = world.add(
        spec(), [draft("a", 0), draft("b", 0), draft("c", 0, it="a"), draft("d", 1), draft("e", 1, it="d")]
    )
    await work(world.ledger, sweep_id, 0)
    assert [job.earlier for job in (await take(world.ledger, sweep_id, 2))[1]] == [{}]
    await work(world.ledger, sweep_id, 4)
    assert [job.earlier for job in (await take(world.ledger, sweep_id, 5))[1]] == [{}, {}]


async def test_the_feeder_gives_out_a_wave_when_the_one_before_has_ended_at_that_provider(database_url: str) -> None:
    world, feed = PostgresWorld(database_url), Feed(database_url)
    sweep_id = world.add(spec(), DRAFTS)

    def fed(provider: str) -> list[int]:
        return [chunk.ref.no for chunk in feed.take(provider, 10)]

    try:
        assert (fed("openai"), fed("azure")) == ([0, 2], [1, 3])
        await work(world.ledger, sweep_id, 0)
        assert fed("openai") == []
        await work(world.ledger, sweep_id, 2, JobState.FAILED)
        assert (fed("openai"), fed("azure")) == ([4], [])
        await work(world.ledger, sweep_id, 4)
        assert fed("openai") == [6]
    finally:
        feed.close()
        await world.close()


async def test_rows_come_in_the_order_of_the_input_whatever_the_waves(database_url: str) -> None:
    submit(database_url, spec(), DRAFTS)
    engine = connect(database_url)
    try:
        keys = [row.key for row in rows(engine, "waves")]
    finally:
        engine.dispose()
    assert keys == [one.key + label for one in DRAFTS for label in LABELS]
