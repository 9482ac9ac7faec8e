"""An event loop whose time is virtual: when nothing is left to do, it leaps to the next timer instead of waiting.

So every sleep, timeout and semaphore of the engine behaves as it does in a worker, and an hour takes seconds. There is
no input or output: a program that waits for something else than a timer waits for ever, which is an error here.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(RuntimeError):
    """All tasks wait for each other and no timer is set."""


class _Leap(selectors.SelectSelector):
    """Waiting is adding."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is left to happen, and yet somebody waits")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at 0."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


class LoopClock:
    """``core.ports.Clock`` of the running loop. ``time`` begins at the moment that it is told."""

    def __init__(self, start: float) -> None:
        self._start = start

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        return self._start + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on virtual time. Raises Stuck."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
