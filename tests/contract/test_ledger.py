"""What every ledger promises. The in-memory twin and PostgreSQL pass the same sentences."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pytest

from core.model import (
    Answer,
    CallRecord,
    CallStatus,
    ChunkRef,
    Job,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Modality,
    Outcome,
    SweepState,
    Usage,
    VectorRecord,
)
from core.ports import Leases, Ledger
from core.sweep import SweepSpec, Target
from db.engine import connect, transaction
from db.ledger import PostgresLedger
from db.memory import MemoryLedger
from db.submission import submit
from db.tally import TALLY_COLUMNS, Tally

LEASE_S = 30.0


class Both(Leases, Ledger, Protocol):
    """A ledger has both ports."""


class World(Protocol):
    """A ledger and a view of its rows."""

    @property
    def ledger(self) -> Both: ...

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int: ...

    def lapse(self, ref: ChunkRef) -> None: ...

    def states(self, sweep_id: int) -> dict[str, JobState]: ...

    def result(self, job_id: int) -> JobResult: ...

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]: ...

    def chunk(self, ref: ChunkRef) -> str: ...

    def total(self, sweep_id: int) -> Tally: ...

    def members(self, sweep_id: int) -> set[tuple[int, str]]: ...


class HandClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class MemoryWorld:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.ledger = MemoryLedger(lease_s=LEASE_S, clock=self.clock)

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int:
        return self.ledger.add_sweep(spec, drafts)

    def lapse(self, ref: ChunkRef) -> None:
        self.ledger.chunks[ref].until = self.clock.now - 1

    def states(self, sweep_id: int) -> dict[str, JobState]:
        mine = [c.jobs for ref, c in self.ledger.chunks.items() if ref.sweep_id == sweep_id]
        return {self.ledger.rows[i].job.key: self.ledger.rows[i].result.state for jobs in mine for i in jobs}

    def result(self, job_id: int) -> JobResult:
        return self.ledger.rows[job_id].result

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]:
        row = self.ledger.sweeps[sweep_id]
        return row.state, row.reason

    def chunk(self, ref: ChunkRef) -> str:
        return self.ledger.chunks[ref].state

    def total(self, sweep_id: int) -> Tally:
        return self.ledger.total(sweep_id)

    def members(self, sweep_id: int) -> set[tuple[int, str]]:
        return {(call_id, role) for group_id, call_id, role in self.ledger.members if group_id == sweep_id}


class PostgresWorld:
    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self.ledger = PostgresLedger(url, lease_s=LEASE_S)

    def add(self, spec: SweepSpec, drafts: Iterable[JobDraft]) -> int:
        return submit(self.engine, spec, drafts).sweep_id

    def lapse(self, ref: ChunkRef) -> None:
        self._all(
            "UPDATE chunks SET lease_until = now() - interval '1 s' WHERE sweep_id = %s AND no = %s RETURNING 1",
            ref.sweep_id,
            ref.no,
        )

    def states(self, sweep_id: int) -> dict[str, JobState]:
        rows = self._all("SELECT key, state FROM jobs WHERE sweep_id = %s", sweep_id)
        return {str(key): JobState(str(state)) for key, state in rows}

    def result(self, job_id: int) -> JobResult:
        columns = "state, fingerprint, call_id, result_json, error_json, attempts, cached"
        [row] = self._all(f"SELECT {columns} FROM jobs WHERE id = %s", job_id)
        names = ("state", "fingerprint", "call_id", "result", "error", "attempts", "cached")
        values = dict(zip(names, row, strict=True))
        return JobResult(job_id=job_id, **{**values, "state": JobState(values["state"])})  # type: ignore[arg-type] # rows are untyped

    def sweep(self, sweep_id: int) -> tuple[SweepState, str]:
        [(state, reason)] = self._all("SELECT state, reason FROM sweeps WHERE id = %s", sweep_id)
        return SweepState(str(state)), str(reason)

    def chunk(self, ref: ChunkRef) -> str:
        [(state,)] = self._all("SELECT state FROM chunks WHERE sweep_id = %s AND no = %s", ref.sweep_id, ref.no)
        return str(state)

    def total(self, sweep_id: int) -> Tally:
        sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in TALLY_COLUMNS)
        [row] = self._all(f"SELECT {sums} FROM sweep_tallies WHERE sweep_id = %s", sweep_id)
        return Tally(**{name: int(str(value)) for name, value in zip(TALLY_COLUMNS, row, strict=True)})

    def members(self, sweep_id: int) -> set[tuple[int, str]]:
        rows = self._all(
            "SELECT call_id, role FROM group_members m JOIN sweeps s USING (group_id) WHERE s.id = %s", sweep_id
        )
        return {(int(str(call_id)), str(role)) for call_id, role in rows}

    def _all(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with transaction(self.engine) as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    async def close(self) -> None:
        await self.ledger.close()
        self.engine.dispose()


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    real = PostgresWorld(request.getfixturevalue("database_url"))
    yield real
    await real.close()


def spec(**changes: object) -> SweepSpec:
    plain: Mapping[str, object] = {
        "name": "sweep",
        "kind": "prompt",
        "targets": (Target(provider="openai", model="small"),),
        "chunk_size": 4,
        "options": {"style": "google"},
        "budget_usd": 2.5,
    }
    return SweepSpec.model_validate({**plain, **changes})


def drafts(count: int) -> list[JobDraft]:
    return [JobDraft(key=f"key{n}", input={"n": n, "text": "ü\n\\"}) for n in range(count)]


def call(call_id: int, **changes: object) -> CallRecord:
    plain = CallRecord(
        id=call_id,
        provider="openai",
        model="small",
        modality=Modality.CHAT,
        status=CallStatus.SUCCESS,
        fingerprint=f"{call_id:064x}",
        request={"messages": [{"role": "user", "content": "say hello"}]},
        response={"choices": [{"message": {"content": f"answer {call_id}"}, "finish_reason": "stop"}]},
        latency_ms=12.5,
        usage=Usage(prompt=10, completion=4, cached=2, reasoning=1),
        cost_usd=0.000_25,
        cost_max_usd=0.01,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # changes are a call's own fields


def done(job: Job, record: CallRecord, **changes: object) -> JobResult:
    plain = JobResult(
        job_id=job.id,
        state=JobState.DONE,
        fingerprint=record.fingerprint,
        call_id=record.id,
        result={"text": 'a "quoted" \\ line\nand another'},
        attempts=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # changes are a result's own fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A sweep of which a worker holds the first chunk."""

    sweep_id: int
    lease: Lease
    jobs: Sequence[Job]


async def take(world: World, *, count: int = 4, owner: str = "w1", **changes: object) -> Taken:
    sweep_id = world.add(spec(**changes), drafts(count))
    lease = await world.ledger.lease(ChunkRef(sweep_id=sweep_id, no=0), owner)
    assert lease is not None
    return Taken(sweep_id=sweep_id, lease=lease, jobs=await world.ledger.jobs(lease))


async def ids(world: World, count: int) -> list[int]:
    return list(await world.ledger.call_ids(count))


async def test_a_lease_carries_what_the_spec_says(world: World) -> None:
    taken = await take(world, count=6, cache=False, on_open="wait", repair_turns=2)
    lease = taken.lease
    assert (lease.kind, lease.sweep_name, lease.owner, lease.jobs_total) == ("prompt", "sweep", "w1", 6)
    assert (lease.variant.provider, lease.variant.model) == ("openai", "small")
    assert dict(lease.options) == {"style": "google"}
    assert dict(lease.policy) == {"cache": False, "on_open": "wait", "on_reject": "fail", "repair_turns": 2}
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
    good, bad, lost = (call(i) for i in await ids(world, 3))
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
    record = call((await ids(world, 1))[0])
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
