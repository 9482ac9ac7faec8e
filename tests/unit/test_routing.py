"""Who is asked, and who instead: what fits, whom to prefer, and what a job does when its provider fails it."""

import pytest

from core.errors import ProviderError
from core.model import JobState, Modality
from core.routing import Capabilities, Needs, Place, Rate, order
from core.sweep import Target
from tests.world import ScriptedProvider, World, refused

CHAT = frozenset({Modality.CHAT})
A, B = Place(provider="openai", model="a"), Place(provider="anthropic", model="b")
OTHER = Target(provider="other", model="toy-2")
THIRD = Target(provider="third", model="toy-3")


def able(place: Place, context_tokens: int | None = None, styles: frozenset[str] = frozenset()) -> Capabilities:
    return Capabilities(place=place, modalities=CHAT, context_tokens=context_tokens, styles=styles)


def test_what_does_not_fit_is_left_out_and_told_why() -> None:
    routing = order([able(A, 8000), able(B, 200_000)], Needs(modality=Modality.CHAT, tokens=9000), {})

    assert routing.ways == (B,)
    assert routing.unfit == {A: "its context holds 8000 tokens, 9000 are needed"}


def test_vectors_are_no_work_for_a_chat_model() -> None:
    routing = order([able(A)], Needs(modality=Modality.EMBEDDING), {})
    assert (routing.ways, routing.unfit) == ((), {A: "it does no embedding"})


def test_a_preferred_style_comes_before_a_better_rate_but_not_before_one_that_mostly_fails() -> None:
    places = [able(A), able(B, styles=frozenset({"numpy"}))]
    needs = Needs(modality=Modality.CHAT, kind="docstring", style="numpy")
    so_so = {("anthropic", "b", "docstring"): Rate(calls=100, good=80)}
    broken = {("anthropic", "b", "docstring"): Rate(calls=100, good=5)}

    assert order(places, needs, so_so).ways == (B, A)
    assert order(places, needs, broken).ways == (A, B)


def test_success_decides_among_equals_and_a_rate_of_another_kind_counts_where_there_is_none_of_its_own() -> None:
    rates = {("openai", "a", "gap"): Rate(calls=100, good=60), ("anthropic", "b", "gap"): Rate(calls=100, good=99)}
    assert order([able(A), able(B)], Needs(modality=Modality.CHAT, kind="docstring"), rates).ways == (B, A)


def world_of_three() -> World:
    world = World()
    for name in ("other", "third"):
        world.others[name] = ScriptedProvider(world.clock, name=name)
    return world


@pytest.mark.parametrize("error", [refused(503), refused(400), refused(413, code="context_length_exceeded")])
async def test_a_job_that_its_own_provider_fails_goes_to_another(error: ProviderError) -> None:
    world = world_of_three()
    world.provider.script = lambda _: error
    sweep = world.submit("a", reroute=(OTHER, THIRD), on_open="reroute")

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
    assert (world.others["other"].asked, world.others["third"].asked) == (["a"], [])


async def test_of_the_others_the_one_with_the_better_rate_is_asked() -> None:
    world = world_of_three()
    world.provider.script = lambda _: refused(400)
    world.rates = {("other", "toy-2", "toy"): Rate(calls=50, good=10)}
    sweep = world.submit("a", reroute=(OTHER, THIRD), on_open="reroute")

    await world.run(sweep)

    assert (world.others["other"].asked, world.others["third"].asked) == ([], ["a"])


async def test_a_job_that_nobody_answers_fails_with_everybody_s_reason() -> None:
    world = world_of_three()
    world.contexts["other"] = 15
    world.provider.script = lambda _: refused(400)
    world.others["third"].script = lambda _: refused(401)
    sweep = world.submit("a", reroute=(OTHER, THIRD), on_open="reroute")

    await world.run(sweep)

    result = world.rows(sweep)[0].result
    assert result.state is JobState.FAILED
    assert result.error is not None
    assert result.error["message"] == "refused with 400"
    assert result.error["alternatives"]["other/toy-2"].startswith("Incompatible: its context holds 15 tokens")
    assert result.error["alternatives"]["third/toy-3"].startswith("Parked: ")
    assert world.ledger.sweeps[sweep].state == "running"


async def test_another_model_of_the_same_provider_is_an_alternative_too() -> None:
    world = World()
    world.provider.script = lambda request: refused(413) if request.model == "toy-1" else "fits"
    sweep = world.submit("a", reroute=(Target(provider="openai", model="toy-long"),))

    await world.run(sweep)

    assert world.states(sweep) == [JobState.DONE]
