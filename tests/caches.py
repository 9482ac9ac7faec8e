"""Caches for the contract: the twin, and the one in Redis (a fake server and a real one)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import redis.asyncio

from core.cache.memory import MemoryCache
from core.cache.redis import RedisCache
from core.cache.stats import CacheStats
from core.model import Answer, CallRecord, Usage
from core.ports import Cache, SingleFlight
from tests.gates import HandClock
from tests.records import call


class Both(Cache, SingleFlight, Protocol):
    """A cache has both ports, and more that a person asks for."""

    async def stats(self) -> CacheStats: ...

    async def clear(self, *, sweep: str | None = None, model: str | None = None) -> int: ...


class World(Protocol):
    cache: Both

    async def lapse(self) -> None:
        """So long that every lead which nobody renews has ended, and every answer is still there."""
        ...

    async def age(self) -> None:
        """So long that every answer has ended."""
        ...


@dataclass
class MemoryWorld:
    clock: HandClock = field(default_factory=HandClock)
    cache: Both = field(init=False)

    def __post_init__(self) -> None:
        self.cache = MemoryCache(self.clock)

    async def lapse(self) -> None:
        await self.clock.move(11)

    async def age(self) -> None:
        await self.clock.move(10**6)


@dataclass
class RedisWorld:
    client: redis.asyncio.Redis
    cache: Both = field(init=False)

    def __post_init__(self) -> None:
        self.cache = RedisCache(self.client, HandClock())

    async def lapse(self) -> None:
        await self._end("lease")

    async def age(self) -> None:
        await self._end("answer")
        await self._end("call")

    async def _end(self, what: str) -> None:
        # What the server does by itself when the time is over; that it will, its ttl says.
        for key in await self.client.keys(f"llmsweep:cache:{what}:*"):
            assert await self.client.pttl(key) > 0
            await self.client.delete(key)


def a_call(call_id: int = 1, **fields: Any) -> CallRecord:
    rest: dict[str, Any] = {
        "model": "gpt",
        "fingerprint": f"call{call_id}",
        "usage": Usage(prompt=3, completion=4, cached=1),
        "metadata": {"sweep": "docs"},
    }
    return call(call_id, **(rest | fields))


def text(call_id: int, said: str) -> Answer:
    return Answer(call_id=call_id, text=said, finish_reason="stop")


def vectors(call_id: int, rows: Sequence[Sequence[float]]) -> Mapping[str, Answer]:
    return {
        f"v{i}": Answer(call_id=call_id, vector=np.array(row, dtype=np.float32), position=i)
        for i, row in enumerate(rows)
    }
