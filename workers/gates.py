"""What the gates know of providers, asked from outside of a worker."""

import asyncio
from collections.abc import Iterable

import redis.asyncio as aioredis

from core.clock import SystemClock
from core.gate.redis import RedisGate
from core.ports import GateStatus, Limits

_PATIENCE_S = 2


class Onlooker:
    """Looks at gates: it admits nothing, and brings no limits of its own."""

    def __init__(self, redis_url: str) -> None:
        self._client = aioredis.from_url(redis_url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
        self._gate = RedisGate(self._client, lambda _: Limits(), SystemClock())

    async def status(self, providers: Iterable[str]) -> dict[str, GateStatus]:
        """Each provider's gate at a glance. Raises GateUnavailable."""
        return {name: await self._gate.status(name) for name in providers}

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


def gates(redis_url: str, providers: Iterable[str]) -> dict[str, GateStatus]:
    """One look. Raises GateUnavailable."""

    async def look() -> dict[str, GateStatus]:
        onlooker = Onlooker(redis_url)
        try:
            return await onlooker.status(providers)
        finally:
            await onlooker.close()

    return asyncio.run(look())
