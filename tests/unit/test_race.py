"""Several calls for one job: the first answer that it takes wins, and what loses is booked."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ProviderError
from core.model import CallStatus, ChatReply, ChatRequest, ChunkRef, JobState, Usage
from core.pipeline import run_chunk
from core.sweep import Target
from tests.examples import examples
from tests.world import ScriptedProvider, ToyKind, World, echo, refused

OTHER = Target(provider="other", model="toy-2")
THIRD = Target(provider="third", model="toy-3")


def with_others(*names: str, latency_s: float = 0.1) -> World:
    world = World()
    for name in names:
        world.others[name] = ScriptedProvider(world.clock, latency_s=latency_s, name=name)
    return world


async def left_open(world: World) -> int:
    """Intents that nobody has settled."""
    names = ("openai", *world.others)
    return sum([len(await world.gate.intents(name)) for name in names])


def booked(world: World) -> dict[tuple[str, CallStatus], int]:
    """Rows by provider and status."""
    rows = [(call.provider, call.status) for call in world.ledger.calls.values()]
    return {row: rows.count(row) for row in rows}


async def test_the_faster_of_two_providers_answers_and_the_slower_call_is_given_up_and_booked() -> None:
    world = with_others("other")
    world.provider.latency_s = 5.0
    sweep = world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")
    began = world.clock.time()

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
    assert world.clock.time() - began < 1
    assert booked(world) == {("openai", CallStatus.UNKNOWN): 1, ("other", CallStatus.SUCCESS): 1}
    lost = next(call for call in world.ledger.calls.values() if call.status is CallStatus.UNKNOWN)
    assert (lost.cost_usd, lost.cost_max_usd) == (None, 0.02)
    assert await left_open(world) == 0
    assert world.rows(sweep)[0].result.attempts == 2


async def test_an_answer_that_the_job_does_not_take_does_not_win() -> None:
    world = with_others("other", latency_s=0.1)
    world.others["other"].script = lambda _: "bad"
    world.provider.latency_s = 2.0
    sweep = world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
    assert booked(world) == {("openai", CallStatus.SUCCESS): 1, ("other", CallStatus.SUCCESS): 1}
    assert await left_open(world) == 0


async def test_answers_that_are_all_bad_get_one_repair_turn() -> None:
    world = with_others("other")
    for provider in (world.provider, world.others["other"]):
        provider.script = lambda request: "bad" if len(request.messages) == 1 else "mended"
    sweep = world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
    assert sum(booked(world).values()) == 3


async def test_without_other_providers_the_same_request_is_sent_twice() -> None:
    world = World()
    sweep = world.submit("a", "b", parallel_attempts=2)

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 2
    assert sorted(world.provider.asked) == ["a", "a", "b", "b"]
    assert await left_open(world) == 0


async def test_what_one_provider_has_answered_before_is_bought_from_nobody_again() -> None:
    world = with_others("other")
    world.provider.latency_s = 5.0
    await world.run(world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute"))
    calls = len(world.ledger.calls)
    again = world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")

    await world.run(again)

    assert world.states(again) == [JobState.DONE]
    assert len(world.ledger.calls) == calls


async def test_a_budget_holds_with_races_and_counts_what_was_given_up_at_its_worst() -> None:
    world = with_others("other")
    world.provider.latency_s = 5.0
    asks = [f"ask {i}" for i in range(20)]
    sweep = world.submit(*asks, parallel_attempts=2, reroute=(OTHER,), on_open="reroute", budget_usd=0.1)

    await world.run(sweep)

    assert world.ledger.total(sweep).cost_max_nano <= 100_000_000
    assert JobState.PENDING in world.states(sweep)
    assert await left_open(world) == 0


@dataclass
class Uneven(ScriptedProvider):
    """Slow at the first call for the texts that it is told; a text's second call is quick."""

    slow: frozenset[str] = frozenset()

    async def chat(self, request: ChatRequest) -> ChatReply:
        text = request.messages[-1].content
        self.asked.append(text)
        latency_s = 20.0 if text in self.slow and self.asked.count(text) == 1 else 0.1
        await self.clock.sleep(latency_s)
        return ChatReply(
            text=echo(request),
            model=request.model,
            usage=Usage(prompt=10, completion=5),
            finish_reason="stop",
            response={},
            latency_ms=latency_s * 1000,
        )


async def test_a_late_call_gets_a_second_one_once_the_others_times_are_known() -> None:
    world = World()
    slow = frozenset({"ask 200", "ask 201"})
    world.provider = Uneven(world.clock, slow=slow)
    sweep = world.submit(*(f"ask {i}" for i in range(300)), hedge=0.02, chunk_size=300)
    began = world.clock.time()

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 300
    assert world.clock.time() - began < 3
    asked = world.provider.asked
    assert {text for text in asked if asked.count(text) > 1} == slow
    assert booked(world)["openai", CallStatus.UNKNOWN] == 2
    assert await left_open(world) == 0


async def test_no_more_calls_are_hedged_than_their_share() -> None:
    world = World(slots=30)
    world.provider = Uneven(world.clock, slow=frozenset(f"ask {i}" for i in range(70, 300, 23)))
    sweep = world.submit(*(f"ask {i}" for i in range(300)), hedge=0.02, chunk_size=300)

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 300
    assert 1 <= len(world.provider.asked) - 300 <= 6
    assert await left_open(world) == 0


async def test_a_hedged_embedding_call_ends_each_text_once() -> None:
    world = World(kind=ToyKind(embeds=True))
    sweep = world.submit("a", "bb", "ccc", parallel_attempts=2)

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE] * 3
    assert len(world.ledger.vectors) == 3
    assert await left_open(world) == 0


async def test_a_sweep_that_is_cancelled_while_calls_race_leaves_no_ticket_open() -> None:
    world = with_others("other", latency_s=3.0)
    world.provider.latency_s = 4.0
    sweep = world.submit(*"abcdef", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")

    async with world.engine() as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await world.clock.sleep(0.5)
        engine.heartbeat.drain()
        await chunk

    assert world.states(sweep) == [JobState.DONE] * 6  # what is in flight ends in peace
    assert await left_open(world) == 0


FATES = st.sampled_from(["good", "bad", "down", "refused", "no credit"])


@settings(max_examples=examples(40), deadline=None)
@given(
    fates=st.lists(st.tuples(FATES, FATES, FATES), min_size=1, max_size=6),
    latencies=st.tuples(*[st.floats(0.05, 3.0)] * 3),
    attempts=st.integers(1, 4),
)
async def test_whatever_the_providers_do_no_intent_is_left_and_the_cost_interval_holds_the_truth(
    fates: list[tuple[str, str, str]], latencies: tuple[float, ...], attempts: int
) -> None:
    world = with_others("other", "third")
    world.policy = type(world.policy)(attempts=1)
    answered = [0]
    errors: dict[str, ProviderError] = {
        "down": refused(503),
        "refused": refused(400),
        "no credit": refused(402),
    }
    for at, provider in enumerate((world.provider, *world.others.values())):
        provider.latency_s = latencies[at]

        def script(request: ChatRequest, at: int = at) -> str | ProviderError:
            fate = fates[int(request.messages[0].content)][at]
            answered[0] += fate in {"good", "bad"}
            return errors[fate] if fate in errors else f"{fate} {request.messages[0].content}"

        provider.script = script
    sweep = world.submit(
        *map(str, range(len(fates))), parallel_attempts=attempts, reroute=(OTHER, THIRD), on_open="fallback"
    )

    await world.run(sweep)

    assert await left_open(world) == 0
    total = world.ledger.total(sweep)
    asked = len(world.provider.asked) + sum(len(other.asked) for other in world.others.values())
    assert total.calls == asked == len(world.ledger.calls)
    assert total.cost_nano <= answered[0] * 10_000_000 <= total.cost_max_nano
    taken = [row.result for row in world.rows(sweep) if row.result.state is JobState.DONE]
    assert all(result.call_id in world.ledger.calls for result in taken)


@pytest.mark.parametrize("crash_s", [0.05, 0.15, 0.4])
async def test_a_worker_that_dies_in_a_race_leaves_intents_for_the_reaper_and_the_next_one_ends_the_job(
    crash_s: float,
) -> None:
    world = with_others("other", latency_s=0.3)
    world.provider.latency_s = 5.0
    sweep = world.submit("a", parallel_attempts=2, reroute=(OTHER,), on_open="reroute")
    async with world.engine("dead") as engine:
        chunk = asyncio.create_task(run_chunk(engine, ChunkRef(sweep_id=sweep, no=0)))
        await world.clock.sleep(crash_s)
        chunk.cancel()
        await asyncio.gather(chunk, return_exceptions=True)
    await world.clock.sleep(world.ledger.lease_s + 15)
    told = {intent.ask.call_id for name in ("openai", "other") for intent in await world.gate.intents(name)}

    await world.run(sweep)

    asked = len(world.provider.asked) + len(world.others["other"].asked)
    assert world.states(sweep) == [JobState.DONE]
    assert len(told | set(world.ledger.calls)) == asked
