"""What many tasks want to write at the same time goes in one round trip; alone, a write goes at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 500  # items a round trip
_GATHER_S = 0.008  # what comes while one is under way waits this long for more


class Coalescer(Generic[T]):
    """Collects items while a round trip is under way; the next one takes them all."""

    def __init__(self, send: Callable[[list[T]], Awaitable[None]]) -> None:
        """``send`` takes all items of a batch; its error is the error of each of them."""
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._pump: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Returns when the item is sent. Raises what ``send`` raised."""
        loop = asyncio.get_running_loop()
        sent = loop.create_future()
        self._waiting.append((item, sent))
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run())
        await sent

    async def _run(self) -> None:
        await asyncio.sleep(0)  # all that is added in this tick
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            await self._send_all(batch)
            if 0 < len(self._waiting) < _MOST:
                await asyncio.sleep(_GATHER_S)  # the wire's rhythm, not the engine's time

    async def _send_all(self, batch: list[tuple[T, asyncio.Future[None]]]) -> None:
        try:
            await self._send([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001 - handed to those who wait for it
            for _, sent in batch:
                if not sent.done():
                    sent.set_exception(type(exc)(*exc.args))
        else:
            for _, sent in batch:
                if not sent.done():
                    sent.set_result(None)
