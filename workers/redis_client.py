"""Clients of the Redis servers, as a worker uses them."""

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.typing import EncodableT

from core.errors import InputError

_CONNECTIONS = 16


class _Connection(aioredis.Connection):
    """Commands are written by hiredis, as redis-py has it done in its blocking client; here it would join strings."""

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        packed: list[bytes] = HiredisRespSerializer().pack(*args)  # type: ignore[arg-type]  # each is annotated as all
        return packed


def redis_client(url: str) -> aioredis.Redis:
    """A client of the asyncio loop that first uses it. Raises InputError without a URL."""
    if not url:
        raise InputError("REDIS_URL is not set", hint="start the embedded servers with `sweep up`, or set REDIS_URL")
    # Bounded and blocking: a thousand calls in flight must not open a thousand connections.
    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        connection_class=_Connection,  # a URL of another kind (rediss, unix) brings its own
        max_connections=_CONNECTIONS,
        timeout=5,
        socket_timeout=10,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),  # the gate and the engine have their own patience, and know what may be repeated
    )
    return aioredis.Redis.from_pool(pool)
