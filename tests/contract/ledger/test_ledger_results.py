"""What every ledger promises of results. The in-memory twin and PostgreSQL pass the same sentences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.model import (
    Answer,
    CallRecord,
    CallStatus,
    JobResult,
    JobState,
    Modality,
    Outcome,
    Usage,
    VectorRecord,
)
from db.tally import Tally
from tests.ledgers import World, done, ids, take
from tests.records import call

PAID: dict[str, Any] = {"usage": Usage(prompt=10, completion=4, cached=2, reasoning=1), "cost_usd": 0.000_25}


async def test_call_ids_are_fresh_and_ascend(world: World) -> None:
    several = [await ids(world, count) for count in (3, 1, 1500, 0, 999, 2)]
    assert [len(taken) for taken in several] == [3, 1, 1500, 0, 999, 2]
    assert all(taken == sorted(taken) for taken in several)
    flat = [number for taken in several for number in taken]
    assert len(set(flat)) == len(flat)


async def test_a_committed_job_has_its_result_and_is_no_longer_pending(world: World) -> None:
    taken = await take(world)
    [record] = [call(i) for i in await ids(world, 1)]
    expected = done(taken.jobs[0], record)
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,), jobs=(expected,))])
    assert world.result(taken.jobs[0].id) == expected
    assert [job.key for job in await world.ledger.jobs(taken.lease)] == ["key1", "key2", "key3"]
    assert world.members(taken.sweep_id) == {(record.id, "made")}


async def test_counts_are_those_of_the_rows(world: World) -> None:
    taken = await take(world)
    good, bad, lost = (call(i, **PAID) for i in await ids(world, 3))
    bad = replace(bad, status=CallStatus.FAILED, response=None, error={"message": "no"}, usage=None, cost_usd=None)
    lost = replace(lost, status=CallStatus.UNKNOWN, usage=None, cost_usd=None, cost_max_usd=None)
    first, second, third, fourth = taken.jobs
    await world.ledger.commit(
        [
            Outcome(lease=taken.lease, calls=(good,), jobs=(done(first, good),)),
            Outcome(lease=taken.lease, jobs=(done(second, good, cached=True),)),
            Outcome(lease=taken.lease, calls=(bad,), jobs=(JobResult(job_id=third.id, state=JobState.FAILED),)),
            Outcome(lease=taken.lease, calls=(lost,), jobs=(JobResult(job_id=fourth.id, state=JobState.FALLBACK),)),
        ]
    )
    assert world.total(taken.sweep_id) == Tally(
        done=2,
        cached=1,
        fallback=1,
        failed=1,
        calls=3,
        calls_failed=1,
        calls_unknown=1,
        prompt_tokens=10,
        completion_tokens=4,
        cached_tokens=2,
        reasoning_tokens=1,
        cost_nano=250_000,
        cost_max_nano=10_250_000,
        cost_unknown=1,
    )


async def test_committing_the_same_again_changes_nothing(world: World) -> None:
    taken = await take(world)
    record = call((await ids(world, 1))[0])
    outcome = Outcome(lease=taken.lease, calls=(record,), jobs=(done(taken.jobs[0], record),))
    await world.ledger.commit([outcome])
    before = world.total(taken.sweep_id)
    await world.ledger.commit([outcome])
    assert world.total(taken.sweep_id) == before
    assert before.done == before.calls == 1


async def test_a_final_state_is_final(world: World) -> None:
    taken = await take(world)
    first, second = (call(i) for i in await ids(world, 2))
    job = taken.jobs[0]
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(first,), jobs=(done(job, first),))])
    late = done(job, second, state=JobState.FAILED, result=None, error={"message": "late"})
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(second,), jobs=(late,))])
    assert world.result(job.id) == done(job, first)
    assert (world.total(taken.sweep_id).failed, world.total(taken.sweep_id).calls) == (0, 2)


async def test_a_stale_lease_writes_its_calls_but_no_job(world: World) -> None:
    taken = await take(world)
    record = call((await ids(world, 1))[0], **PAID)
    world.lapse(taken.lease.ref)
    assert await world.ledger.lease(taken.lease.ref, "w2") is not None
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,), jobs=(done(taken.jobs[0], record),))])
    assert world.states(taken.sweep_id)["key0"] is JobState.PENDING
    assert world.total(taken.sweep_id) == replace_tally(calls=1)
    found = await world.ledger.find([record.fingerprint], Modality.CHAT)
    assert found[record.fingerprint].call_id == record.id


async def test_an_adopted_call_becomes_a_row_once_and_is_counted_once(world: World) -> None:
    taken = await take(world)
    record = call((await ids(world, 1))[0])
    for job in taken.jobs[:2]:
        adopt = Outcome(lease=taken.lease, adopted=(record,), jobs=(done(job, record, cached=True, attempts=0),))
        await world.ledger.commit([adopt])
    total = world.total(taken.sweep_id)
    assert (total.calls, total.done, total.cached) == (1, 2, 2)
    assert world.members(taken.sweep_id) == {(record.id, "made"), (record.id, "cached")}


async def test_an_earlier_answer_is_found_by_its_fingerprint(world: World) -> None:
    taken = await take(world)
    first, second, failed = (call(i) for i in await ids(world, 3))
    second = replace(second, fingerprint=first.fingerprint)
    failed = replace(failed, status=CallStatus.FAILED, response=None)
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(second, first, failed))])
    found = await world.ledger.find([first.fingerprint, failed.fingerprint, "0" * 64], Modality.CHAT)
    assert dict(found) == {first.fingerprint: Answer(call_id=first.id, text=f"answer {first.id}", finish_reason="stop")}
    assert not await world.ledger.find([], Modality.CHAT)


@pytest.mark.parametrize(
    ("response", "metadata"),
    [
        ({"content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}], "stop_reason": "end"}, {}),
        ({"choices": [{"message": {"content": "hello"}, "finish_reason": "end"}]}, {}),
        ({"anything": 1}, {"text": "hello", "finish_reason": "end"}),
    ],
)
async def test_the_answer_is_read_from_any_providers_body(
    world: World, response: dict[str, object], metadata: dict[str, object]
) -> None:
    taken = await take(world)
    record = call((await ids(world, 1))[0], response=response, metadata=metadata)
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,))])
    answer = (await world.ledger.find([record.fingerprint], Modality.CHAT))[record.fingerprint]
    assert (answer.text, answer.finish_reason) == ("hello", "end")


async def test_a_vector_is_kept_bit_for_bit_and_only_once(world: World) -> None:
    taken = await take(world)
    first, second = (call(i, modality=Modality.EMBEDDING, response={"data": []}) for i in await ids(world, 2))
    vector = np.random.default_rng(7).standard_normal(1536).astype(np.float32)

    def row(record: CallRecord, value: np.ndarray[tuple[int], np.dtype[np.float32]]) -> VectorRecord:
        return VectorRecord(call_id=record.id, position=3, fingerprint="f" * 64, model="small", vector=value)

    await world.ledger.commit([Outcome(lease=taken.lease, calls=(first,), vectors=(row(first, vector),))])
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(second,), vectors=(row(second, -vector),))])
    answer = (await world.ledger.find(["f" * 64, "e" * 64], Modality.EMBEDDING))["f" * 64]
    assert (answer.call_id, answer.position) == (first.id, 3)
    assert answer.vector is not None
    assert answer.vector.dtype == np.float32
    assert np.array_equal(answer.vector, vector)


async def test_a_vector_that_was_pruned_comes_back_beside_one_that_was_not(world: World) -> None:
    taken = await take(world)
    record = call((await ids(world, 1))[0], modality=Modality.EMBEDDING, response={"data": []})
    kept, pruned = (
        VectorRecord(call_id=record.id, position=i, fingerprint=f * 64, model="small", vector=np.ones(3, np.float32))
        for i, f in enumerate("ab")
    )
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,), vectors=(kept,))])

    await world.ledger.commit([Outcome(lease=taken.lease, vectors=(kept, pruned))])

    found = await world.ledger.find(["a" * 64, "b" * 64], Modality.EMBEDDING)
    assert {print_: answer.position for print_, answer in found.items()} == {"a" * 64: 0, "b" * 64: 1}


async def test_text_that_no_database_likes_is_kept(world: World) -> None:
    taken = await take(world)
    nasty = "nul \0, lone \ud800, tab \t, backslash \\, quote ' \" and \\N"
    record = call(
        (await ids(world, 1))[0],
        request={"messages": [nasty], nasty: 1},
        response={"choices": [{"message": {"content": nasty}, "finish_reason": None}]},
        metadata={"huge": 2**80},
    )
    result = done(taken.jobs[0], record, result={"text": nasty})
    await world.ledger.commit([Outcome(lease=taken.lease, calls=(record,), jobs=(result,))])
    answer = (await world.ledger.find([record.fingerprint], Modality.CHAT))[record.fingerprint]
    assert answer.text == nasty
    assert world.result(taken.jobs[0].id).result == {"text": nasty}


async def test_committing_nothing_is_nothing(world: World) -> None:
    taken = await take(world)
    await world.ledger.commit([])
    await world.ledger.commit([Outcome(lease=taken.lease)])
    assert world.total(taken.sweep_id) == Tally()


def replace_tally(*, calls: int) -> Tally:
    """The counts of so many of the calls above."""
    return Tally(
        calls=calls,
        prompt_tokens=10 * calls,
        completion_tokens=4 * calls,
        cached_tokens=2 * calls,
        reasoning_tokens=calls,
        cost_nano=250_000 * calls,
        cost_max_nano=250_000 * calls,
    )
