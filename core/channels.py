"""A provider as a process uses it."""

import asyncio
from collections import deque
from dataclasses import dataclass

from core.ports import Provider
from core.retry import RetryPolicy


class Slots:
    """A process's concurrent calls to one provider. First come, first served.

    A slot goes straight to whoever has waited longest. ``asyncio.Semaphore`` walks past all whom it has woken already,
    and under load those are as many as there are slots.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A provider as this process uses it."""

    provider: Provider
    policy: RetryPolicy
    slots: Slots
    cache_ttl_s: float
    scope: str  # "" for the provider itself, else whose server answers in its place: its answers are its own
    shares: bool = True  # whether a sweep takes answers that others have paid for (CACHE_ENABLED)
    counts_tokens: bool = True  # else they are guessed, unless money depends on them; the gate learns from real figures
