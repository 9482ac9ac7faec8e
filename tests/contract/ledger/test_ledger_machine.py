"""The job states as one machine: in whatever order workers, crashes, the feeder and commands come, the promises hold.

Twin and PostgreSQL go side by side and tell the same at every step. What the twin has no command for (the feeder and
`sweep pause` and its kin work on tables) is done to its rows by `Twin`, in as few words as it can be said.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

import pytest
import sqlalchemy
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import InputError
from core.model import (
    CallStatus,
    ChunkRef,
    ChunkState,
    JobDraft,
    JobResult,
    JobState,
    Lease,
    Outcome,
    SweepState,
)
from core.sweep import SweepSpec, Target
from db import closing, control
from db.engine import connect, transaction
from db.ledger import PostgresLedger
from db.memory import MemoryLedger
from db.submission import submit
from db.tally import TALLY_COLUMNS
from tests.examples import examples
from tests.fed_twin import CHUNK, CHUNKS, JOBS, Twin
from tests.records import call

T = TypeVar("T")

LEASE_S = 1000.0  # nothing lapses by itself
ENDED = {SweepState.DONE, SweepState.CANCELLED}
NUMBERS = itertools.count(1)  # of sweeps, owners' calls: one database serves all examples

chunks = st.sampled_from(CHUNKS)
owners = st.sampled_from(["w1", "w2"])
finals = st.sampled_from([JobState.DONE, JobState.DONE, JobState.FAILED, JobState.FALLBACK])
pick = st.integers(0, 50)


class Row(NamedTuple):
    """What a job's row tells."""

    state: JobState
    call_id: int | None
    round: int
    deaths: int


class Pair(NamedTuple):
    """A lease as both ledgers gave it."""

    twin: Lease
    real: Lease


class Jobs(RuleBasedStateMachine):
    """A sweep of five jobs in three chunks, two workers, and everything that may happen to them."""

    engine: sqlalchemy.Engine
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.real = PostgresLedger(self.url, lease_s=LEASE_S, threads=1)
        self.memory = MemoryLedger(lease_s=LEASE_S)
        self.leases: list[Pair] = []  # all that were ever given, also those that are void by now
        self.sent: list[tuple[Pair, Outcome, Outcome]] = []
        self.fences: Counter[int] = Counter()
        self.seen: dict[str, Row] = {}

    @initialize()
    def begin(self) -> None:
        spec = SweepSpec(
            name=f"machine-{next(NUMBERS)}",
            kind="prompt",
            targets=(Target(provider="openai", model="m"),),
            chunk_size=CHUNK,
        )
        drafts = [JobDraft(key=f"k{i}", input={}) for i in range(JOBS)]
        self.name = spec.name
        self.sweep_id = submit(self.engine, spec, drafts).sweep_id
        self.twin = Twin(self.memory, self.memory.add_sweep(spec, drafts))
        self.ids = {
            str(key): int(str(job_id)) for job_id, key in self.all("SELECT id, key FROM jobs WHERE sweep_id = %s")
        }

    def teardown(self) -> None:
        self.run(self.real.close())
        self.loop.close()

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.loop.run_until_complete(awaited())

    def all(self, statement: str) -> list[tuple[object, ...]]:
        with transaction(self.engine) as cursor:
            cursor.execute(statement, (self.sweep_id,))
            return cursor.fetchall()

    # -- workers

    @rule(no=chunks, owner=owners)
    def a_worker_takes_a_chunk(self, no: int, owner: str) -> None:
        by_twin = self.run(self.memory.lease(self.twin.chunk_of(no), owner))
        by_real = self.run(self.real.lease(ChunkRef(sweep_id=self.sweep_id, no=no), owner))
        assert (by_twin is None) == (by_real is None)
        if by_twin is None or by_real is None:
            return
        assert (by_twin.fence, by_twin.stalled) == (by_real.fence, by_real.stalled)
        assert by_real.fence > self.fences[no], "a fence that was given before"
        self.fences[no] = by_real.fence
        self.leases.append(Pair(by_twin, by_real))

    @precondition(lambda self: self.leases)
    @rule(which=pick, job=pick, state=finals, cached=st.booleans())
    def a_worker_commits_a_result(self, which: int, job: int, state: JobState, *, cached: bool) -> None:
        pair = self.leases[-1 - which % min(4, len(self.leases))]
        keys = [f"k{i}" for i in range(JOBS) if i // CHUNK == pair.real.ref.no]
        key = keys[job % len(keys)]
        made = call(
            10**12 + next(NUMBERS),
            status=CallStatus.SUCCESS if state is JobState.DONE else CallStatus.FAILED,
            fingerprint=f"{job}",
            cost_usd=0.01,
        )
        twin_id = next(row.job.id for row in self.memory.rows.values() if row.job.key == key)
        outcomes = [
            Outcome(
                lease=lease,
                calls=(made,),
                jobs=(JobResult(job_id=job_id, state=state, call_id=made.id, attempts=1, cached=cached),),
            )
            for lease, job_id in ((pair.twin, twin_id), (pair.real, self.ids[key]))
        ]
        self.sent.append((pair, outcomes[0], outcomes[1]))
        self.commit(outcomes[0], outcomes[1])

    @precondition(lambda self: self.sent)
    @rule(which=pick)
    def a_commit_whose_acknowledgement_was_lost_comes_again(self, which: int) -> None:
        _, by_twin, by_real = self.sent[which % len(self.sent)]
        self.commit(by_twin, by_real)

    def commit(self, by_twin: Outcome, by_real: Outcome) -> None:
        self.run(self.memory.commit([by_twin]))
        self.run(self.real.commit([by_real]))

    @precondition(lambda self: self.leases)
    @rule(which=pick)
    def a_worker_is_through(self, which: int) -> None:
        pair = self.leases[-1 - which % min(4, len(self.leases))]
        self.run(self.memory.finish(pair.twin))
        self.run(self.real.finish(pair.real))

    @precondition(lambda self: self.leases)
    @rule()
    def the_workers_renew_all_that_they_think_is_theirs(self) -> None:
        by_twin = self.run(self.memory.renew([pair.twin for pair in self.leases]))
        by_real = self.run(self.real.renew([pair.real for pair in self.leases]))
        assert {(ref.no, fence) for ref, fence in by_twin.held} == {(ref.no, fence) for ref, fence in by_real.held}
        assert list(by_twin.sweeps.values()) == list(by_real.sweeps.values())

    @rule(no=chunks)
    def a_worker_dies_or_stands_still_until_its_lease_lapses(self, no: int) -> None:
        self.twin.lapse(no)
        with transaction(self.engine) as cursor:
            cursor.execute(
                "UPDATE chunks SET lease_until = now() - interval '1 s' WHERE sweep_id = %s AND no = %s"
                " AND state = 'leased'",
                (self.sweep_id, no),
            )

    @precondition(lambda self: self.leases)
    @rule(which=pick)
    def a_worker_begins_a_job_alone(self, which: int) -> None:
        pair = self.leases[-1 - which % min(4, len(self.leases))]
        key = f"k{pair.real.ref.no * CHUNK}"
        twin_id = next(row.job.id for row in self.memory.rows.values() if row.job.key == key)
        by_twin = self.run(self.memory.alone(pair.twin, twin_id))
        assert by_twin == self.run(self.real.alone(pair.real, self.ids[key]))

    @rule(state=st.sampled_from([SweepState.PAUSED, SweepState.BUDGET_EXHAUSTED]))
    def a_worker_parks_the_sweep(self, state: SweepState) -> None:
        self.run(self.memory.park(self.twin.sweep_id, state, "a reason"))
        self.run(self.real.park(self.sweep_id, state, "a reason"))

    # -- the feeder and the commands

    @rule()
    def the_feeder_looks(self) -> None:
        with transaction(self.engine) as cursor:
            cursor.execute(
                "UPDATE chunks SET state = 'waiting', lease_owner = NULL, lease_until = NULL"
                " WHERE state = 'leased' AND lease_until < clock_timestamp()"
            )
        closing.clear_cancelled(self.engine)
        closing.close_finished(self.engine)
        self.twin.feed()

    @rule()
    def somebody_pauses(self) -> None:
        sweep = self.memory.sweeps[self.twin.sweep_id]
        if self.obeyed(lambda: control.pause(self.engine, self.name), ENDED) and sweep.state is SweepState.RUNNING:
            sweep.state = SweepState.PAUSED

    @rule()
    def somebody_resumes(self) -> None:
        if self.obeyed(lambda: control.resume(self.engine, self.name), ENDED):
            self.memory.sweeps[self.twin.sweep_id].state = SweepState.RUNNING

    @precondition(lambda self: self.leases)
    @rule(sure=st.integers(0, 5))
    def somebody_cancels(self, sure: int) -> None:
        if sure == 0 and self.obeyed(lambda: control.cancel(self.engine, self.name), {SweepState.DONE}):
            self.memory.sweeps[self.twin.sweep_id].state = SweepState.CANCELLED

    @rule(state=st.sampled_from([JobState.FAILED, JobState.FALLBACK]))
    def somebody_retries(self, state: JobState) -> None:
        fallbacks = state is JobState.FALLBACK

        def again() -> object:
            return control.retry(self.engine, self.name, failed=not fallbacks, fallbacks=fallbacks)

        sweep = self.memory.sweeps[self.twin.sweep_id]
        if self.obeyed(again, {SweepState.CANCELLED}) and self.twin.retry(state):
            sweep.state = SweepState.RUNNING if sweep.state is SweepState.DONE else sweep.state

    def obeyed(self, command: Callable[[], object], refused_in: set[SweepState]) -> bool:
        """Whether the command was taken; it is refused in these states, and in no others."""
        state = self.memory.sweeps[self.twin.sweep_id].state
        try:
            command()
        except InputError:
            assert state in refused_in
            return False
        assert state not in refused_in
        return True

    # -- the promises

    @invariant()
    def both_tell_the_same(self) -> None:
        rows = self.rows()
        by_twin = {
            row.job.key: Row(row.result.state, row.result.call_id, row.job.round, row.job.deaths)
            for row in self.memory.rows.values()
        }
        assert by_twin == rows
        found = self.all(
            "SELECT no, state, coalesce(lease_owner, ''), takes FROM chunks WHERE sweep_id = %s ORDER BY no"
        )
        mine = (self.memory.chunks[self.twin.chunk_of(no)] for no in CHUNKS)
        # A chunk that waits is one that is queued, for everybody but the feeder.
        states = {ChunkState.QUEUED: "waiting"}
        told = [(no, states.get(c.state, c.state.value), c.owner, c.takes) for no, c in zip(CHUNKS, mine, strict=True)]
        assert told == found
        [(state,)] = self.all("SELECT state FROM sweeps WHERE id = %s")
        assert self.memory.sweeps[self.twin.sweep_id].state.value == state

    @invariant()
    def a_final_state_is_final_until_a_retry_opens_a_new_round(self) -> None:
        rows = self.rows()
        for key, before in self.seen.items():
            if before.round == rows[key].round and before.state is not JobState.PENDING:
                assert rows[key][:3] == before[:3]
            assert rows[key].round >= before.round
        self.seen = rows

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        states = Counter(row.state for row in self.rows().values())
        sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in TALLY_COLUMNS)
        [row] = self.all(f"SELECT {sums} FROM sweep_tallies WHERE sweep_id = %s")
        counted = dict(zip(TALLY_COLUMNS, map(int, map(str, row)), strict=True))
        assert {state: counted[state.value] for state in JobState if state is not JobState.PENDING} == {
            state: states[state] for state in JobState if state is not JobState.PENDING
        }
        calls = {outcome.calls[0].id for _, _, outcome in self.sent}
        assert counted["calls"] == len(calls)
        assert counted["cost_nano"] == len(calls) * 10_000_000
        total = self.memory.total(self.twin.sweep_id)
        assert {name: getattr(total, name) for name in TALLY_COLUMNS if name != "cached"} == {
            name: value for name, value in counted.items() if name != "cached"
        }

    @invariant()
    def no_job_is_lost(self) -> None:
        rows = self.rows()
        assert set(rows) == {f"k{i}" for i in range(JOBS)}
        ended = {
            no for no, state in self.all("SELECT no, state FROM chunks WHERE sweep_id = %s") if state == "finished"
        }
        [(sweep,)] = self.all("SELECT state FROM sweeps WHERE id = %s")
        pending = {int(key[1:]) // CHUNK for key, row in rows.items() if row.state is JobState.PENDING}
        assert not pending & ended, "a pending job that nobody will take"
        assert not (sweep == "done" and pending)

    def rows(self) -> dict[str, Row]:
        found = self.all("SELECT key, state, call_id, round, deaths FROM jobs WHERE sweep_id = %s ORDER BY id")
        return {
            str(key): Row(JobState(str(state)), call_id, round_, deaths)  # type: ignore[arg-type] # rows are untyped
            for key, state, call_id, round_, deaths in found
        }


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


@pytest.mark.slow
def test_whatever_happens_in_whatever_order_the_ledgers_keep_their_promises(
    engine: sqlalchemy.Engine, database_url: str
) -> None:
    class Here(Jobs):
        pass

    Here.engine, Here.url = engine, database_url
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples(25), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
