"""What an adversary does to a chunk: providers that are all down, kinds that raise, waits that outlast a shutdown."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.errors import ProviderError
from core.heartbeat import Stop
from core.model import (
    Accepted,
    Answer,
    ChatRequest,
    ChunkRef,
    Job,
    JobState,
    JsonObject,
    Outcome,
    Rejected,
    SweepState,
    Variant,
    Verdict,
)
from core.pipeline import run_chunk
from core.ports import Limits
from core.sweep import Target
from db.memory import MemoryLedger
from db.tally import shares
from tests.world import ScriptedProvider, ToyKind, World, refused, unless

OTHER = Target(provider="hyperbolic", model="toy-2")


@pytest.fixture
def world() -> World:
    return World()


async def test_jobs_that_find_all_their_providers_down_end_when_one_is_back(world: World) -> None:
    began = world.clock.time()
    down = unless(lambda _: world.clock.time() < began + 300, refused(503))
    world.provider.script = down
    world.others["hyperbolic"] = ScriptedProvider(world.clock, name="hyperbolic", script=down)
    sweep = world.submit(*"abcdefgh", on_open="reroute", reroute=(OTHER,))

    await asyncio.wait_for(world.run(sweep), timeout=20)

    assert JobState.PENDING not in world.states(sweep)
    assert JobState.DONE in world.states(sweep)


async def test_a_provider_that_is_down_for_an_hour_is_outwaited(world: World) -> None:
    began = world.clock.time()
    world.provider.script = unless(lambda _: world.clock.time() < began + 3600, refused(503))
    sweep = world.submit(*"abcd", on_open="wait")

    await asyncio.wait_for(world.run(sweep), timeout=60)

    assert JobState.PENDING not in world.states(sweep)


@pytest.mark.parametrize("stop", [Stop.DRAINING, Stop.SWEEP])
@pytest.mark.parametrize("error", [refused(429, retry_after=3600.0), refused(503, retry_after=100.0)])
async def test_a_worker_that_is_told_to_stop_waits_for_no_retry(world: World, error: ProviderError, stop: Stop) -> None:
    world.provider.script = lambda _: error
    sweep = world.submit("a", "b", "c")

    async with world.engine() as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await world.clock.sleep(5)
        began = world.clock.time()
        (hold,) = engine.heartbeat._holds
        hold.halt(stop)
        await chunk

    assert world.clock.time() - began < 10
    assert world.states(sweep) == [JobState.PENDING] * 3


async def test_a_batch_over_the_quota_is_halved_until_it_fits() -> None:
    world = World(kind=ToyKind(embeds=True), limits=Limits(tpm=25))
    sweep = world.submit(*"abcdefgh")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 8


@dataclass(frozen=True)
class Particular(ToyKind):
    """Each job takes only what its input allows."""

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:
        same = Job(id=0, key="", input={"ask": "same"})
        request = super().request(same, variant, options)
        assert isinstance(request, ChatRequest)
        return request

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:
        if str(job.input["ask"]) in answer.text:
            return Accepted(result={"text": answer.text})
        return Rejected(reason=f"it lacks {job.input['ask']}")


@pytest.mark.parametrize("asks", [("second", "same"), ("same", "second")])
async def test_of_equal_requests_each_job_is_judged_for_itself(asks: tuple[str, str]) -> None:
    world = World(kind=Particular())
    sweep = world.submit(*asks)
    world.provider.script = lambda request: "same" if len(request.messages) == 1 else "second"

    await world.run(sweep)

    by_ask = {row.job.input["ask"]: row.result for row in world.rows(sweep)}
    assert (by_ask["same"].state, by_ask["same"].result) == (JobState.DONE, {"text": "same"})
    assert (by_ask["second"].state, by_ask["second"].result) == (JobState.DONE, {"text": "second"})
    assert [by_ask[ask].cached for ask in ("same", "second")] == [False, False]


@dataclass(frozen=True)
class Helpless(ToyKind):
    """Its rules stumble over the job "b"."""

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:
        if job.input["ask"] == "b":
            raise KeyError("b")
        return super().fallback(job, options)


async def test_a_rule_that_raises_fails_its_job_alone_and_the_call_is_kept() -> None:
    world = World(kind=Helpless())
    world.provider.script = lambda _: "bad"
    sweep = world.submit("a", "b", on_reject="fallback")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.FALLBACK, JobState.FAILED]
    assert len(world.ledger.calls) == len(world.provider.asked)


async def test_a_job_whose_rule_raises_waits_for_the_provider_alone() -> None:
    world = World(kind=Helpless())
    began = world.clock.time()
    world.provider.script = unless(lambda _: world.clock.time() < began + 300, refused(503))
    sweep = world.submit(*"acdefgb")

    await world.run(sweep)

    by_ask = {row.job.input["ask"]: row.result.state for row in world.rows(sweep)}
    assert JobState.FALLBACK in by_ask.values()
    assert by_ask["b"] is JobState.DONE


@dataclass(frozen=True)
class Choosy(ToyKind):
    """Can ask only its own provider."""

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:
        if variant.provider != "openai":
            raise ValueError("no such parameter")
        request = super().request(job, variant, options)
        assert isinstance(request, ChatRequest)
        return request


async def test_what_another_provider_cannot_be_asked_waits_for_its_own() -> None:
    world = World(kind=Choosy())
    began = world.clock.time()
    world.provider.script = unless(lambda _: world.clock.time() < began + 300, refused(503))
    sweep = world.submit(*"abcdefgh", on_open="reroute", reroute=(OTHER,))

    await world.run(sweep)

    assert world.states(sweep).count(JobState.DONE) >= 5
    assert JobState.PENDING not in world.states(sweep)


async def test_a_provider_that_breaks_in_an_unforeseen_way_leaks_no_ticket(world: World) -> None:
    def broken(request: ChatRequest) -> str:
        if request.messages[0].content == "b":
            raise ZeroDivisionError
        return "fine"

    world.provider.script = broken
    sweep = world.submit("a", "b", "c")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE, JobState.FAILED, JobState.DONE]
    assert (await world.gate.status("openai")).in_flight == 0
    assert len(world.ledger.calls) == len(world.provider.asked) == 5


@dataclass(slots=True, kw_only=True)
class Remembering(MemoryLedger):
    """Keeps what it was given, in order."""

    given: list[Outcome] = field(default_factory=list)

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        self.given += outcomes
        await MemoryLedger.commit(self, outcomes)


@pytest.mark.parametrize("mended", ["good", "bad"])
async def test_what_the_jobs_cost_is_what_their_calls_cost_refused_answers_too(world: World, mended: str) -> None:
    ledger = Remembering(clock=world.clock)
    world.ledger = ledger
    world.provider.script = lambda request: "bad" if len(request.messages) == 1 else mended
    sweep = world.submit("a", "b", "b", "c")

    await world.run(sweep)

    nano = sum(share.nano or 0 for outcome in ledger.given for _, share in shares(outcome))
    assert nano == ledger.total(sweep).cost_nano == 60_000_000


async def test_a_budget_raised_while_calls_are_refused_under_the_old_one_is_not_parked_again(world: World) -> None:
    sweep = world.submit(*(f"ask {i}" for i in range(50)), budget_usd=0.1)

    async with world.engine() as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await asyncio.sleep(0)
        world.ledger.sweeps[sweep].budget_usd = 10.0
        await chunk
    assert world.ledger.sweeps[sweep].state is SweepState.RUNNING
    assert JobState.PENDING in world.states(sweep)
    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 50


async def test_vectors_that_were_pruned_come_back_with_the_cached_answer() -> None:
    world = World(kind=ToyKind(embeds=True))
    await world.run(world.submit("a", "bb"))
    world.ledger.vectors.clear()
    again = world.submit("a", "bb")

    await world.run(again)

    assert len(world.provider.asked) == 1
    assert world.states(again) == [JobState.DONE] * 2
    assert {row.result.fingerprint for row in world.rows(again)} == set(world.ledger.vectors)
