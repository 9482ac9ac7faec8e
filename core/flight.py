"""One of several calls for the same jobs, as the race between them sees it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.heartbeat import Hold, Stop

T = TypeVar("T")


@dataclass(slots=True, eq=False, kw_only=True)
class Flight:
    """``hold``: this call's own. ``sends``: how often it was sent so far. ``in_air``: an answer is awaited now."""

    hold: Hold
    sends: int = 0
    in_air: bool = False
    departed: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, sending: Coroutine[Any, Any, T]) -> T | None:
        """What the call brings. None: another call was faster, and this one was given up in the air.

        Stopped for another reason, a call that is paid for ends in peace.
        """
        self.sends += 1
        self.in_air = True
        self.departed.set()
        call = asyncio.ensure_future(sending)
        halted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            with self.hold.waking(halted):
                if self.hold.stop is None:
                    await asyncio.wait((call, halted), return_when=asyncio.FIRST_COMPLETED)
            if self.hold.stop is Stop.BEATEN and not call.done():
                call.cancel()
                await asyncio.wait((call,))
                if call.cancelled():
                    return None
            return await call
        finally:
            self.in_air = False
            call.cancel()
