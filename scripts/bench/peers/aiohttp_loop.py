"""The practical limit: a bare loop of aiohttp and orjson on uvloop that keeps nothing and checks nothing."""

import aiohttp
import orjson
import uvloop

from scripts.bench.peers.measure import CONCURRENCY, MODEL, Measured, arguments, calls_of, messages, tell


async def main(url: str, count: int) -> Measured:
    headers = {"Authorization": "Bearer simulated", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def call(number: int) -> str:
            body = orjson.dumps({"model": MODEL, "messages": messages(number)})
            async with session.post(f"{url}/chat/completions", data=body) as response:
                answer = orjson.loads(await response.read())
            return str(answer["choices"][0]["message"]["content"])

        return await calls_of(call, count)


if __name__ == "__main__":
    tell(uvloop.run(main(*arguments())))
