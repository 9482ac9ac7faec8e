"""What the gates know of providers, asked once from outside of a worker."""

import asyncio
from collections.abc import Iterable, Mapping

import redis.asyncio as aioredis

from core.clock import SystemClock
from core.gate.redis import RedisGate
from core.ports import GateStatus, Limits

_PATIENCE_S = 2


def gates(redis_url: str, providers: Iterable[str]) -> Mapping[str, GateStatus]:
    """Each provider's gate at a glance. Raises GateUnavailable."""
    return asyncio.run(_gates(redis_url, providers))


async def _gates(redis_url: str, providers: Iterable[str]) -> Mapping[str, GateStatus]:
    client = aioredis.from_url(redis_url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
    try:
        gate = RedisGate(client, lambda _: Limits(), SystemClock())
        return {name: await gate.status(name) for name in providers}
    finally:
        await client.aclose()
