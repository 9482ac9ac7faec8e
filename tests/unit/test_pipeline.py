import asyncio
from collections.abc import Iterator

import pytest

from core.errors import MalformedAnswer, ProviderError, ProviderTimeout
from core.model import CallStatus, ChatRequest, ChunkRef, JobState, SweepState
from core.pipeline import run_chunk
from core.ports import Limits
from core.sweep import Target
from tests.world import ScriptedProvider, ToyKind, World, refused, unless


@pytest.fixture
def world() -> World:
    return World()


async def test_every_job_of_a_chunk_ends_done_with_a_call_of_its_own(world: World) -> None:
    sweep = world.submit("a", "b", "c")

    summary = await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 3
    assert [row.result.result for row in world.rows(sweep)] == [{"text": f"re: {ask}"} for ask in "abc"]
    assert len(world.ledger.calls) == 3
    assert summary is not None
    assert (summary.done, summary.cached, summary.left) == (3, 0, 0)
    assert summary.cost_usd == pytest.approx(0.03)


async def test_equal_requests_of_a_chunk_are_called_once(world: World) -> None:
    sweep = world.submit("same", "same", "other", "same")

    await world.run(sweep)

    assert sorted(world.provider.asked) == ["other", "same"]
    assert world.states(sweep) == [JobState.DONE] * 4
    assert [row.result.cached for row in world.rows(sweep)] == [False, True, False, True]


async def test_equal_requests_of_two_workers_are_called_once(world: World) -> None:
    first, second = world.submit("same", "a"), world.submit("same", "b")

    async with world.engine("worker-1") as one, world.engine("worker-2") as two:
        await asyncio.gather(
            run_chunk(one, ChunkRef(sweep_id=first, no=0)), run_chunk(two, ChunkRef(sweep_id=second, no=0))
        )

    assert sorted(world.provider.asked) == ["a", "b", "same"]
    assert world.states(first) + world.states(second) == [JobState.DONE] * 4


async def test_a_second_sweep_of_the_same_requests_costs_nothing(world: World) -> None:
    await world.run(world.submit("a", "b"))
    again = world.submit("a", "b")

    summary = await world.run(again)

    assert len(world.provider.asked) == 2
    assert summary is not None
    assert (summary.done, summary.cached, summary.cost_usd) == (2, 2, 0.0)


async def test_a_sweep_with_the_cache_off_pays_again(world: World) -> None:
    await world.run(world.submit("a"))

    await world.run(world.submit("a", cache=False))

    assert world.provider.asked == ["a", "a"]


async def test_a_provider_with_its_cache_off_is_paid_again_by_each_sweep_but_not_within_one() -> None:
    world = World(shares=False)
    for _ in range(2):
        await world.run(world.submit("a", "a", "b"))
    assert sorted(world.provider.asked) == ["a", "a", "b", "b"]


async def test_several_samples_of_one_request_are_several_calls(world: World) -> None:
    sweep = world.submit("a", samples=2)

    await world.run(sweep, 0)
    await world.run(sweep, 1)

    assert world.provider.asked == ["a", "a"]


async def test_a_rejected_answer_gets_one_repair_turn_that_shows_the_model_its_error(world: World) -> None:
    def repairs(request: ChatRequest) -> str:
        return "bad" if len(request.messages) == 1 else f"good after {len(request.messages)} messages"

    world.provider.script = repairs
    sweep = world.submit("a")

    await world.run(sweep)

    (row,) = world.rows(sweep)
    assert row.result.state is JobState.DONE
    assert row.result.result == {"text": "good after 3 messages"}
    assert row.result.attempts == 2
    assert "the answer is bad" in world.provider.asked[1]
    assert [call.metadata["accepted"] for call in world.ledger.calls.values()] == [False, True]


async def test_an_answer_that_stays_bad_fails_its_job_and_is_kept(world: World) -> None:
    world.provider.script = lambda _: "bad"
    sweep = world.submit("a")

    await world.run(sweep)

    (row,) = world.rows(sweep)
    assert row.result.state is JobState.FAILED
    assert row.result.error is not None
    assert row.result.error["message"] == "the answer is bad"
    assert len(world.ledger.calls) == 2


async def test_a_sweep_may_ask_for_the_rule_based_answer_instead_of_a_failure(world: World) -> None:
    world.provider.script = lambda _: "bad"
    sweep = world.submit("a", on_reject="fallback")

    await world.run(sweep)

    (row,) = world.rows(sweep)
    assert (row.result.state, row.result.result) == (JobState.FALLBACK, {"text": "by rule"})


async def test_a_refused_request_fails_its_job_at_once_and_the_others_go_on(world: World) -> None:
    world.provider.script = unless(lambda request: request.messages[0].content == "b", refused(400))
    sweep = world.submit("a", "b", "c")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE, JobState.FAILED, JobState.DONE]
    assert len(world.provider.asked) == 3


@pytest.mark.parametrize("error", [refused(500), ProviderTimeout("timeout"), MalformedAnswer("html")])
async def test_a_passing_fault_is_tried_again_and_every_try_is_a_row(world: World, error: ProviderError) -> None:
    answers: Iterator[str | ProviderError] = iter([error, "fine"])
    world.provider.script = lambda _: next(answers)
    sweep = world.submit("a")

    await world.run(sweep)

    (row,) = world.rows(sweep)
    assert (row.result.state, row.result.attempts) == (JobState.DONE, 2)
    assert [call.status for call in world.ledger.calls.values()] == [CallStatus.FAILED, CallStatus.SUCCESS]


async def test_a_429_is_no_failure_and_waits_as_long_as_it_was_told(world: World) -> None:
    answers: Iterator[str | ProviderError] = iter(
        [*[refused(429, retry_after=7.0)] * 5, "fine"]
    )  # more than MAX_RETRY_ATTEMPTS
    world.provider.script = lambda _: next(answers)
    sweep = world.submit("a")
    began = world.clock.time()

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
    assert world.clock.time() - began >= 35


@pytest.mark.parametrize("error", [refused(401), refused(429, code="insufficient_quota")])
async def test_credentials_and_money_park_the_sweep_and_leave_its_jobs_pending(
    world: World, error: ProviderError
) -> None:
    world.provider.script = lambda _: error
    sweep = world.submit("a", "b")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.PENDING] * 2
    assert world.ledger.sweeps[sweep].state is SweepState.PAUSED
    assert world.ledger.sweeps[sweep].reason.startswith("openai: ")
    assert len(world.provider.asked) <= 2


async def test_an_open_breaker_means_the_rule_based_answer(world: World) -> None:
    world.provider.script = lambda _: refused(503)
    sweep = world.submit(*"abcdefgh")

    await world.run(sweep)

    assert JobState.FALLBACK in world.states(sweep)
    assert JobState.PENDING not in world.states(sweep)


async def test_with_on_open_wait_the_jobs_wait_until_the_provider_is_back(world: World) -> None:
    began = world.clock.time()
    world.provider.script = unless(lambda _: world.clock.time() < began + 90, refused(503))
    sweep = world.submit(*"abcd", on_open="wait")

    await world.run(sweep)

    assert world.states(sweep).count(JobState.DONE) >= 1
    assert JobState.PENDING not in world.states(sweep)
    assert world.clock.time() >= began + 60


async def test_with_on_open_reroute_another_provider_answers_while_the_first_is_down(world: World) -> None:
    world.provider.script = lambda _: refused(503)
    world.others["hyperbolic"] = ScriptedProvider(world.clock, name="hyperbolic")
    other = Target(provider="hyperbolic", model="toy-2")
    sweep = world.submit(*"abcdefgh", on_open="reroute", reroute=(other,))

    await world.run(sweep)

    assert world.states(sweep).count(JobState.DONE) == len(world.others["hyperbolic"].asked) > 0
    assert set(world.states(sweep)) <= {JobState.DONE, JobState.FAILED}


async def test_a_budget_is_never_overspent_and_parks_the_sweep(world: World) -> None:
    sweep = world.submit(*(f"ask {i}" for i in range(50)), budget_usd=0.1)

    await world.run(sweep)

    spent = sum(call.cost_usd or 0 for call in world.ledger.calls.values())
    assert spent <= 0.1
    assert len(world.provider.asked) >= 8
    assert world.ledger.sweeps[sweep].state is SweepState.BUDGET_EXHAUSTED
    assert JobState.PENDING in world.states(sweep)


async def test_a_cancelled_sweep_sends_no_call_a_second_later(world: World) -> None:
    world.limits = Limits(rpm=60)
    sweep = world.submit(*(f"ask {i}" for i in range(30)))

    async def cancel() -> int:
        await world.clock.sleep(5)
        world.ledger.sweeps[sweep].state = SweepState.CANCELLED
        await world.clock.sleep(1)
        return len(world.provider.asked)

    async with world.engine() as engine:
        _, asked = await asyncio.gather(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)), cancel())

    assert 0 < asked < 30
    assert len(world.provider.asked) == asked


async def test_a_draining_worker_finishes_what_is_in_flight_and_gives_the_rest_back(world: World) -> None:
    world.limits = Limits(rpm=60)
    sweep = world.submit(*(f"ask {i}" for i in range(30)))

    async with world.engine() as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await world.clock.sleep(5)
        engine.heartbeat.drain()
        summary = await chunk

    assert summary is not None
    assert 0 < summary.left < 30
    await world.run(sweep)
    assert world.states(sweep) == [JobState.DONE] * 30
    assert len(world.provider.asked) == 30


async def test_a_chunk_is_worked_on_once(world: World) -> None:
    sweep = world.submit("a")

    async with world.engine("worker-1") as one, world.engine("worker-2") as two:
        ref = ChunkRef(sweep_id=sweep, no=0)
        summaries = await asyncio.gather(run_chunk(one, ref), run_chunk(two, ref))

    assert summaries.count(None) == 1
    assert world.provider.asked == ["a"]


async def test_an_answer_whose_worker_died_before_its_commit_is_found_and_becomes_a_row(world: World) -> None:
    first = world.submit("a")
    await world.run(first)
    (call,) = world.ledger.calls.values()
    world.ledger.calls.clear()  # as if the worker had died between cache and commit
    second = world.submit("a")

    await world.run(second)

    assert world.provider.asked == ["a"]
    assert list(world.ledger.calls) == [call.id]
    assert world.states(second) == [JobState.DONE]


async def test_texts_travel_together_in_one_embedding_call() -> None:
    world = World(kind=ToyKind(embeds=True))
    sweep = world.submit("a", "bb", "ccc")

    await world.run(sweep)

    assert world.provider.asked == ["a|bb|ccc"]
    assert world.states(sweep) == [JobState.DONE] * 3
    assert sorted(float(record.vector[0]) for record in world.ledger.vectors.values()) == [1.0, 2.0, 3.0]


async def test_one_bad_vector_fails_its_own_job_and_the_others_are_paid_once() -> None:
    world = World(kind=ToyKind(embeds=True))
    world.provider.flawed = "bb"
    sweep = world.submit("a", "bb", "ccc")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE, JobState.FAILED, JobState.DONE]
    assert [row.result.error["message"] for row in world.rows(sweep) if row.result.error] == ["no good"]
    assert len(world.ledger.vectors) == 2
    assert world.provider.asked == ["a|bb|ccc"]


async def test_a_bad_vector_is_no_answer_for_anybody_else() -> None:
    world = World(kind=ToyKind(embeds=True))
    world.provider.flawed = "bb"
    await world.run(world.submit("a", "bb"))
    world.provider.flawed = ""
    again = world.submit("a", "bb")

    await world.run(again)

    assert world.states(again) == [JobState.DONE] * 2
    assert world.provider.asked == ["a|bb", "bb"]


async def test_one_bad_text_fails_alone() -> None:
    world = World(kind=ToyKind(embeds=True))
    world.provider.poison = "ccc"
    sweep = world.submit("a", "bb", "ccc", "dddd", "e")

    await world.run(sweep)

    done, failed = JobState.DONE, JobState.FAILED
    assert world.states(sweep) == [done, done, failed, done, done]
    assert len(world.ledger.vectors) == 4
