"""What every cache promises. The twin and the real server pass the same sentences."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.cache.redis import RedisCache
from core.errors import CacheUnavailable
from core.ports import Lead
from tests.caches import MemoryWorld, RedisWorld, World, a_call, text, vectors
from tests.gates import HandClock


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    client = redis.asyncio.Redis.from_url(request.getfixturevalue("cache_url"))
    yield RedisWorld(client)
    await client.aclose()


@pytest.fixture
async def client(cache_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(cache_url) as made:
        yield made


async def test_an_answer_comes_back_as_it_was_stored(world: World) -> None:
    answer = text(1, "Grüße \N{SNOWMAN}\x00 " + "long " * 1000)
    await world.cache.put(a_call(), {"f": answer}, ttl_s=60)
    assert await world.cache.get(["f", "unknown"]) == {"f": answer}
    assert await world.cache.get([]) == {}


async def test_vectors_come_back_bit_for_bit(world: World) -> None:
    stored = vectors(1, [[0.1, -2.5e-30, 3.0], [float(np.pi), 1e30, -0.0]])
    await world.cache.put(a_call(), stored, ttl_s=60)
    found = await world.cache.get(list(stored))
    for print_, answer in stored.items():
        vector = found[print_].vector
        assert vector is not None
        assert answer.vector is not None
        assert vector.dtype == np.float32
        assert vector.tobytes() == answer.vector.tobytes()
        assert found[print_].position == answer.position


async def test_a_call_record_comes_back_whole(world: World) -> None:
    plain, odd = a_call(1), a_call(2, usage=None, response=None, cost_usd=None, error={"type": "x" * 3000})
    for call in (plain, odd):
        await world.cache.put(call, {}, ttl_s=60)
    assert await world.cache.calls([1, 2, 3]) == {1: plain, 2: odd}
    assert await world.cache.calls([]) == {}


async def test_answers_end_with_their_time(world: World) -> None:
    await world.cache.put(a_call(), {"f": text(1, "x")}, ttl_s=60)
    await world.age()
    assert await world.cache.get(["f"]) == {}
    assert await world.cache.calls([1]) == {}


async def test_hits_and_misses_are_counted(world: World) -> None:
    await world.cache.put(a_call(), {"f": text(1, "x")}, ttl_s=60)
    await world.cache.get(["f", "g", "h"])
    await world.cache.get(["f"])
    stats = await world.cache.stats()
    assert (stats.hits, stats.misses) == (2, 2)


async def test_it_is_cleared_by_sweep_by_model_by_both_or_whole(world: World) -> None:
    cache = world.cache
    await cache.put(a_call(1), {"a": text(1, "a")}, ttl_s=60)
    await cache.put(a_call(2, model="other"), {"b": text(2, "b")}, ttl_s=60)
    await cache.put(a_call(3, metadata={"sweep": "s2"}), {"c": text(3, "c"), "d": text(3, "d")}, ttl_s=60)
    assert await cache.clear(sweep="s2", model="other") == 0
    assert await cache.clear(sweep="s2") == 2
    assert await cache.clear(model="other") == 1
    assert set(await cache.get(["a", "b", "c", "d"])) == {"a"}
    assert await cache.clear() == 1
    assert await cache.get(["a"]) == {}


async def test_a_broken_value_is_a_miss_and_gone(client: redis.asyncio.Redis) -> None:
    cache = RedisCache(client, HandClock())
    await cache.put(a_call(), {"f": text(1, "long " * 1000)}, ttl_s=60)
    for broken in (b"", b"\x01{", b"\x02not zstd", b"\x07{}", b"\x01[]", b"\x01{}", b'\x01{"call":1,"vector":"%"}'):
        await client.set("llmsweep:cache:answer:f", broken)
        await client.set("llmsweep:cache:call:1", broken)
        assert await cache.get(["f"]) == {}
        assert await cache.calls([1]) == {}
        if broken:
            assert await client.exists("llmsweep:cache:answer:f", "llmsweep:cache:call:1") == 0


async def test_a_broken_value_does_not_keep_anybody_from_leading(client: redis.asyncio.Redis) -> None:
    cache = RedisCache(client, HandClock())
    await client.set("llmsweep:cache:answer:f", b"\x02broken")
    claims = await cache.claim(["f"], "me")
    assert isinstance(claims["f"], Lead)


async def test_what_is_stored_together_does_not_end_together(client: redis.asyncio.Redis) -> None:
    cache = RedisCache(client, HandClock())
    await cache.put(a_call(), {f"f{i}": text(1, "x") for i in range(50)}, ttl_s=1000)
    lives = [await client.ttl(f"llmsweep:cache:answer:f{i}") for i in range(50)]
    assert 890 <= min(lives) < max(lives) <= 1101
    assert max(lives) - min(lives) > 50


async def test_long_answers_are_compressed(client: redis.asyncio.Redis) -> None:
    cache = RedisCache(client, HandClock())
    await cache.put(a_call(), {"f": text(1, "the same words " * 500)}, ttl_s=60)
    assert await client.strlen("llmsweep:cache:answer:f") < 500


async def test_a_server_that_is_away_is_told_as_such() -> None:
    async with redis.asyncio.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nobody:
        cache = RedisCache(nobody, HandClock())
        for asked in (
            cache.get(["f"]),
            cache.put(a_call(), {}, ttl_s=1),
            cache.calls([1]),
            cache.claim(["f"], "me"),
            cache.renew([Lead(fingerprint="f", fence=1)]),
            cache.release([Lead(fingerprint="f", fence=1)]),
            cache.stats(),
            cache.clear(),
        ):
            with pytest.raises(CacheUnavailable):
                await asked
