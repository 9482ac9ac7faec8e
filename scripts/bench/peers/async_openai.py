"""The official client and a semaphore's worth of tasks, as most scripts do it."""

import asyncio
from typing import Any

from openai import AsyncOpenAI

from scripts.bench.peers.measure import MODEL, Measured, arguments, calls_of, messages, tell


async def main(url: str, count: int) -> Measured:
    async with AsyncOpenAI(base_url=url, api_key="simulated") as client:

        async def call(number: int) -> Any:
            asked: Any = messages(number)  # the client's own types for plain dictionaries are a zoo
            return await client.chat.completions.create(model=MODEL, messages=asked)

        return await calls_of(call, count)


if __name__ == "__main__":
    tell(asyncio.run(main(*arguments())))
