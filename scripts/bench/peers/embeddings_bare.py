"""Vectors without anything around them: aiohttp, a binary COPY, and the index. The limit for ``embedding`` sweeps.

``python -m scripts.bench.peers.embeddings_bare URL TEXTS DATABASE``.
"""

import asyncio
import base64
import struct
import sys
import time
from io import BytesIO

import aiohttp
import numpy as np
import orjson
import uvloop

from db.engine import dial
from scripts.bench.peers.measure import Measured, arguments, cpu_s, tell

DIMENSIONS = 1_536
BATCH = 256
MODEL = "text-embedding-3-small"
_AT_ONCE = 8


def text(number: int) -> str:
    """A short text, different for each number."""
    return f"Note {number} of the corpus: invoice {number * 7919 % 100_003} was paid in week {number % 52}."


async def _rows(session: aiohttp.ClientSession, url: str, numbers: range) -> list[bytes]:
    body = orjson.dumps({"model": MODEL, "input": [text(n) for n in numbers], "encoding_format": "base64"})
    async with session.post(f"{url}/embeddings", data=body, headers={"Content-Type": "application/json"}) as response:
        data = orjson.loads(await response.read())["data"]
    return [
        struct.pack("!hiiihh", 2, 4, number, 4 + 4 * DIMENSIONS, DIMENSIONS, 0)
        + np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4").astype(">f4").tobytes()
        for number, entry in zip(numbers, data, strict=True)
    ]


async def main(url: str, count: int, database: str) -> Measured:
    connection = dial(database)
    cpu, wall = cpu_s(), time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE bare (id int, vector vector({DIMENSIONS}))")
        at_once = asyncio.Semaphore(_AT_ONCE)
        async with aiohttp.ClientSession() as session:

            async def store(numbers: range) -> None:
                async with at_once:
                    rows = await _rows(session, url, numbers)
                    stream = BytesIO(b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0) + b"".join(rows) + b"\xff\xff")
                    cursor.copy_expert("COPY bare FROM STDIN (FORMAT binary)", stream)

            await asyncio.gather(*(store(range(n, min(n + BATCH, count))) for n in range(0, count, BATCH)))
        fetched = Measured(calls=count, cpu_s=cpu_s() - cpu, wall_s=time.perf_counter() - wall)
        cursor.execute("DROP TABLE bare")
    connection.close()
    return fetched


if __name__ == "__main__":
    tell(uvloop.run(main(*arguments(), sys.argv[3])))
