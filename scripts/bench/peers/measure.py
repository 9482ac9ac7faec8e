"""How a peer measures itself: CPU and wall time of its calls, without its imports, printed as one line of JSON."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

MODEL = "gpt-4o-mini"
CONCURRENCY = 256  # as MAX_CONCURRENT_REQUESTS
_WARM = 200  # calls that open the connections and fill the caches


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``cpu_s``: user and system time of all processes of the peer."""

    calls: int
    cpu_s: float
    wall_s: float
    rss_mb: float = 0.0  # the most, where a peer looks


def messages(number: int) -> list[dict[str, str]]:
    """A short prompt, different for each number."""
    return [{"role": "user", "content": f"peer: question {number}?"}]


def arguments() -> tuple[str, int]:
    """The provider's base URL and the number of calls."""
    return sys.argv[1], int(sys.argv[2])


async def calls_of(call: Callable[[int], Awaitable[object]], count: int) -> Measured:
    """Makes ``count`` calls, ``CONCURRENCY`` at a time, after some that are not counted."""
    await _all(call, range(-_WARM, 0))
    cpu, wall = cpu_s(), time.perf_counter()
    await _all(call, range(count))
    return Measured(calls=count, cpu_s=cpu_s() - cpu, wall_s=time.perf_counter() - wall)


async def _all(call: Callable[[int], Awaitable[object]], numbers: range) -> None:
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            await call(number)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


def cpu_s() -> float:
    """This process's CPU time so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def tell(measured: Measured) -> None:
    """Prints what was measured, for the bench to read."""
    print(json.dumps(asdict(measured)))
