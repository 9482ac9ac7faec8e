"""A provider as a process uses it."""

import asyncio
from dataclasses import dataclass

from core.ports import Provider
from core.retry import RetryPolicy


class Slots(asyncio.Semaphore):
    """A process's concurrent calls to one provider."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


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
