"""How many answers of a provider the cache may hold (``<PREFIX>CACHE_MAX_SIZE``): beyond that, the oldest calls' go.

Without such a bound nothing is noted and nothing costs a command: the server's own memory limit decides.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

import redis.asyncio
from redis.asyncio.client import Pipeline

MostOf: TypeAlias = Callable[[str], int | None]
"""Provider -> the most answers, None: any number."""


def unbounded(_: str) -> None:
    """No provider has a bound."""


class Bound:
    """Keeps, for each bounded provider, its answers' keys in the order of their calls."""

    def __init__(self, client: redis.asyncio.Redis, prefix: str, most: MostOf) -> None:
        self._client = client
        self._prefix = prefix
        self._most = most

    def note(self, pipe: Pipeline, written: Iterable[tuple[str, int, list[str]]]) -> list[str]:
        """Adds to a pipeline what tells of the answers (provider, call id, keys); returns whom to ask ``excess`` for.

        The last replies of the pipeline are then the providers' counts, in this order.
        """
        ranks: dict[str, dict[str, int]] = {}
        for provider, call_id, keys in written:
            if keys and self._most(provider) is not None:
                ranks.setdefault(provider, {}).update(dict.fromkeys(keys, call_id))
        for provider, rank in ranks.items():
            pipe.zadd(self._order(provider), cast("Mapping[Any, Any]", rank))
        for provider in ranks:
            pipe.zcard(self._order(provider))
        return list(ranks)

    async def excess(self, counts: Mapping[str, int]) -> list[str]:
        """Takes the oldest answers' keys off the lists that are too long, for the caller to delete."""
        keys: list[str] = []
        for provider, count in counts.items():
            most = self._most(provider)
            if most is not None and count > most:
                oldest: list[Any] = await self._client.zpopmin(self._order(provider), count - most)
                keys += [key.decode() for key, _ in oldest]
        return keys

    def _order(self, provider: str) -> str:
        return f"{self._prefix}order:{provider}"
