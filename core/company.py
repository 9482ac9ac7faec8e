"""Who works in a process: chunks side by side, or one job alone that is suspected of killing it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Company:
    """Many together, or one alone. Who wants to be alone keeps newcomers out, so that its turn comes. One a process."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._loners = 0  # waiting, and the one that is alone
        self._is_alone = False

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Beside others."""
        await self._until(lambda: self._loners == 0)
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            await self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """With nobody beside: if the process dies now, it is clear who did it."""
        self._loners += 1
        try:
            await self._until(lambda: not self._together and not self._is_alone)
            self._is_alone = True
            try:
                yield
            finally:
                self._is_alone = False
        finally:
            self._loners -= 1
            await self._tell()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
