"""`<PREFIX>CACHE_MAX_SIZE`: the cache holds so many answers of a provider, and the oldest calls' go first."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from core.cache.redis import RedisCache
from core.clock import SystemClock
from tests.caches import a_call, text, vectors


@pytest.fixture
async def client(cache_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(cache_url) as client:
        yield client


def bounded(client: redis.asyncio.Redis, **most: int) -> RedisCache:
    return RedisCache(client, SystemClock(), most=most.get)


async def test_the_oldest_answers_go_and_only_those_of_the_bounded_provider(client: redis.asyncio.Redis) -> None:
    cache = bounded(client, openai=3)
    for number in range(1, 6):
        await cache.put(a_call(number), {f"o{number}": text(number, "x")}, ttl_s=60)
        await cache.put(a_call(100 + number, provider="azure"), {f"a{number}": text(100 + number, "x")}, ttl_s=60)
    assert set(await cache.get([f"o{number}" for number in range(1, 6)])) == {"o3", "o4", "o5"}
    assert len(await cache.get([f"a{number}" for number in range(1, 6)])) == 5


async def test_an_answer_that_is_written_again_is_as_young_as_its_new_call(client: redis.asyncio.Redis) -> None:
    cache = bounded(client, openai=2)
    for call_id, name in ((1, "old"), (2, "other"), (3, "old"), (4, "new")):
        await cache.put(a_call(call_id), {name: text(call_id, "x")}, ttl_s=60)
    assert set(await cache.get(["old", "other", "new"])) == {"old", "new"}


async def test_a_call_with_more_answers_than_the_bound_leaves_the_bound(client: redis.asyncio.Redis) -> None:
    cache = bounded(client, openai=4)
    await cache.put(a_call(), vectors(1, [[float(n), 1.0] for n in range(10)]), ttl_s=60)
    assert len(await cache.get([f"v{number}" for number in range(10)])) == 4


async def test_without_a_bound_nothing_is_noted(client: redis.asyncio.Redis) -> None:
    cache = bounded(client)
    await cache.put(a_call(), {"one": text(1, "x")}, ttl_s=60)
    assert [key for key in await client.keys("*") if b":order:" in key] == []
