"""Virtual time: sleeping costs nothing, and the clock jumps when nobody has anything left to do."""

import asyncio
import contextlib
import heapq
from itertools import count

_IDLE_ROUNDS = 30  # passes of the loop after which everybody who could act has acted


class VirtualClock:
    """A ``core.ports.Clock`` for engines whose backends are in memory."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()
        self._driver: asyncio.Task[None] | None = None

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """The process stands still for so long: nobody wakes before that."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._number), woken))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        await woken

    async def _drive(self) -> None:
        while self._sleepers:
            for _ in range(_IDLE_ROUNDS):
                await asyncio.sleep(0)
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.cancelled():
                continue
            self._now = max(self._now, due)
            with contextlib.suppress(asyncio.InvalidStateError):
                woken.set_result(None)
