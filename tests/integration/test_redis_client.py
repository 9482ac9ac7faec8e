"""The worker's own way of writing commands."""

import pytest
from redis.exceptions import DataError

from workers.redis_client import redis_client


async def test_what_is_written_is_read_again(redis_url: str) -> None:
    client = redis_client(redis_url)
    for key, value in (("text", "größer"), ("bytes", b"\0\r\n$3" * 5000), ("number", 7), ("view", memoryview(b"ab"))):
        await client.set(key, value)
    assert await client.mget("text", "bytes", "number", "view") == ["größer".encode(), b"\0\r\n$3" * 5000, b"7", b"ab"]
    pipe = client.pipeline(transaction=True)
    pipe.incr("number")
    pipe.strlen("bytes")
    assert await pipe.execute() == [8, 25_000]
    assert await client.script_load("return 1") == await client.script_load("return 1")  # a command of two words
    with pytest.raises(DataError):
        await client.set("none", None)  # type: ignore[arg-type]  # that is what is tried
    assert await client.get("text") == "größer".encode()
    await client.aclose()
