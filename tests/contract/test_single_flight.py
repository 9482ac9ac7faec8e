"""Equal fingerprints in flight are called once. The twin, the fake server and the real one pass the same sentences."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.ports import Claim, Follow, Lead
from tests.caches import MemoryWorld, RedisWorld, World, a_call, text
from tests.examples import examples
from tests.gates import fake_client


@pytest.fixture(params=["memory", "fakeredis", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    real = request.param == "redis"
    client = redis.asyncio.Redis.from_url(request.getfixturevalue("cache_url")) if real else fake_client()
    yield RedisWorld(client)
    await client.aclose()


async def claim(world: World, print_: str = "f") -> Claim:
    return (await world.cache.claim([print_], "me"))[print_]


async def lead(world: World, print_: str = "f") -> Lead:
    claimed = await claim(world, print_)
    assert isinstance(claimed, Lead)
    return claimed


async def test_of_many_that_ask_at_once_exactly_one_leads(world: World) -> None:
    prints = [f"f{i}" for i in range(40)]
    answers = await asyncio.gather(*(world.cache.claim(prints, f"w{i}") for i in range(8)))
    for print_ in prints:
        claims = [answer[print_] for answer in answers]
        assert sum(isinstance(each, Lead) for each in claims) == 1
        assert all(isinstance(each, (Lead, Follow)) for each in claims)


async def test_followers_hit_as_soon_as_the_leader_has_stored_its_answer(world: World) -> None:
    leader = await lead(world)
    follower = await claim(world)
    assert isinstance(follower, Follow)
    assert 0 < follower.seconds <= 2
    answer = text(1, "x")
    await world.cache.put(a_call(), {"f": answer}, ttl_s=60)
    assert await claim(world) == answer
    await world.cache.release([leader])
    assert await claim(world) == answer


async def test_storing_an_answer_ends_the_lead_for_it_and_no_other(world: World) -> None:
    done, busy = await lead(world, "f"), await lead(world, "g")
    await world.cache.put(a_call(), {"f": text(1, "x")}, ttl_s=60)
    assert await world.cache.renew([done, busy]) == [busy]


async def test_a_leader_that_gives_up_lets_the_next_one_lead(world: World) -> None:
    await world.cache.release([await lead(world)])
    assert isinstance(await claim(world), Lead)


async def test_a_dead_leader_is_replaced_and_its_ghost_can_neither_renew_nor_release(world: World) -> None:
    ghost = await lead(world)
    await world.lapse()
    heir = await lead(world)
    assert heir.fence > ghost.fence
    assert await world.cache.renew([ghost]) == []
    await world.cache.release([ghost])
    assert isinstance(await claim(world), Follow)
    assert await world.cache.renew([heir, ghost]) == [heir]


async def test_a_lead_made_without_the_cache_holds_nothing(world: World) -> None:
    # The pipeline leads with fence 0 while the cache is away.
    await lead(world)
    alone = Lead(fingerprint="f", fence=0)
    assert await world.cache.renew([alone]) == []
    await world.cache.release([alone])
    assert isinstance(await claim(world), Follow)


async def test_nothing_asked_nothing_answered(world: World) -> None:
    assert await world.cache.claim([], "me") == {}
    assert await world.cache.renew([]) == []
    await world.cache.release([])


PRINTS = st.sampled_from(["a", "b", "c"])


class Flights(RuleBasedStateMachine):
    """Any order of events: at most one live lead a fingerprint, fences only grow, an answer ends the waiting."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.world = self.make()
        self.live: dict[str, Lead] = {}
        self.ghosts: list[Lead] = []
        self.stored: set[str] = set()
        self.highest = 0

    def make(self) -> World:
        return MemoryWorld()

    @rule(print_=PRINTS)
    def ask(self, print_: str) -> None:
        claimed = self.runner.run(claim(self.world, print_))
        if print_ in self.stored:
            assert not isinstance(claimed, (Lead, Follow))
        elif print_ in self.live:
            assert isinstance(claimed, Follow)
        else:
            assert isinstance(claimed, Lead)
            assert claimed.fence > self.highest
            self.highest = claimed.fence
            self.live[print_] = claimed

    @rule()
    def renew(self) -> None:
        asked = [*self.live.values(), *self.ghosts]
        assert list(self.runner.run(self.renewed(asked))) == list(self.live.values())

    async def renewed(self, leads: list[Lead]) -> list[Lead]:
        return list(await self.world.cache.renew(leads))

    @rule(print_=PRINTS)
    def release(self, print_: str) -> None:
        if print_ in self.live:
            self.ghosts.append(self.live.pop(print_))
            self.runner.run(self.released(self.ghosts[-1:]))

    @rule()
    def ghosts_release(self) -> None:
        self.runner.run(self.released(self.ghosts))

    async def released(self, leads: list[Lead]) -> None:
        await self.world.cache.release(leads)

    @rule(print_=PRINTS)
    def store(self, print_: str) -> None:
        self.runner.run(self.put(print_))
        self.stored.add(print_)
        if print_ in self.live:
            self.ghosts.append(self.live.pop(print_))

    async def put(self, print_: str) -> None:
        await self.world.cache.put(a_call(), {print_: text(1, print_)}, ttl_s=10**5)

    @rule()
    def time_passes(self) -> None:
        async def lapse() -> None:
            await self.world.lapse()

        self.runner.run(lapse())
        self.ghosts += self.live.values()
        self.live = {}

    @invariant()
    def one_fence_each(self) -> None:
        fences = [each.fence for each in (*self.live.values(), *self.ghosts)]
        assert len(set(fences)) == len(fences)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()


class FlightsInRedis(Flights):
    """The same on the scripts."""

    def make(self) -> World:
        return RedisWorld(fake_client())


TestFlights = Flights.TestCase
TestFlights.settings = settings(max_examples=examples(50), stateful_step_count=30, deadline=None)
TestFlightsInRedis = FlightsInRedis.TestCase
TestFlightsInRedis.settings = settings(
    max_examples=examples(15), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
