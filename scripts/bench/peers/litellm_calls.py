"""LiteLLM's own asynchronous completion; runs in a virtual environment of its own."""

import asyncio

import litellm

from scripts.bench.peers.measure import MODEL, Measured, arguments, calls_of, messages, tell


async def main(url: str, count: int) -> Measured:
    async def call(number: int) -> object:
        return await litellm.acompletion(
            model=f"openai/{MODEL}", api_base=url, api_key="simulated", messages=messages(number)
        )

    return await calls_of(call, count)


if __name__ == "__main__":
    tell(asyncio.run(main(*arguments())))
