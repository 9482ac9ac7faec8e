"""Running things side by side when each of them may have cost money: nothing is cancelled because a sibling failed."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from core.errors import Unavailable
from core.ports import Clock

T = TypeVar("T")

_PAUSES_S = (0.1, 0.2, 0.5, 1.0)


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Waits for all, whatever becomes of them; then raises the first error. Cancelling it cancels all."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def patiently(clock: Clock, ask: Callable[[], Awaitable[T]], give_up: Callable[[], bool]) -> T:
    """Asks a server of ours until it answers. Raises Unavailable only once ``give_up`` says so."""
    for pause_s in itertools.chain(_PAUSES_S, itertools.repeat(_PAUSES_S[-1])):
        try:
            return await ask()
        except Unavailable:
            if give_up():
                raise
            await clock.sleep(pause_s)
    raise AssertionError("an endless loop ended")
