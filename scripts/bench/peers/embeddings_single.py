"""Vectors as most would begin: the official client, a text a request, a row a commit.

``python -m scripts.bench.peers.embeddings_single URL TEXTS DATABASE``.
"""

import asyncio
import sys

from openai import AsyncOpenAI

from db.engine import dial
from scripts.bench.peers.embeddings_bare import DIMENSIONS, MODEL, text
from scripts.bench.peers.measure import Measured, arguments, calls_of, tell


async def main(url: str, count: int, database: str) -> Measured:
    connection = dial(database)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE single (id int, vector vector({DIMENSIONS}))")
        async with AsyncOpenAI(base_url=url, api_key="simulated") as client:

            async def store(number: int) -> None:
                answer = await client.embeddings.create(model=MODEL, input=text(number))
                vector = str(answer.data[0].embedding)
                await asyncio.to_thread(cursor.execute, "INSERT INTO single VALUES (%s, %s)", (number, vector))

            stored = await calls_of(store, count)
        cursor.execute("DROP TABLE single")
    connection.close()
    return stored


if __name__ == "__main__":
    tell(asyncio.run(main(*arguments(), sys.argv[3])))
