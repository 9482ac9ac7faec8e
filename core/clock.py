"""Real time. ``core.clock`` is the only place that asks the machine for it; tests bring a virtual one."""

import asyncio
import time


class SystemClock:
    """Wall and monotonic time, and asyncio's sleep."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
