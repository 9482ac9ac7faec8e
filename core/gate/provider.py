"""The twin of provider.lua: one provider's state."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from core.gate.breaker import Breaker
from core.gate.estimate import Learned
from core.gate.schedule import BURST, FULL, Dimension

DAY = 86400.0


@dataclass(slots=True)
class Intended:
    """A call that was admitted and not yet settled."""

    admitted: float
    slot: int
    tokens: int
    worst: int
    est: int
    ask: str

    def text(self) -> str:
        """As the script keeps it."""
        return f"{self.admitted:.6f} {self.slot} {self.tokens} {self.worst} {self.est} {self.ask}"


def _new_dimensions() -> tuple[Dimension, ...]:
    return tuple(Dimension(burst=burst, full=full) for burst, full in zip(BURST, FULL, strict=True))


@dataclass(slots=True)
class ProviderState:
    """All that the gate knows of one provider."""

    name: str
    breaker: Breaker
    eased: float
    dimensions: tuple[Dimension, ...] = field(default_factory=_new_dimensions)
    models: defaultdict[str, Learned] = field(default_factory=lambda: defaultdict(Learned))
    intents: dict[int, Intended] = field(default_factory=dict)
    told: list[int] = field(default_factory=lambda: [0, 0, 0])
    frozen: float = 0.0
    pushed: float = 0.0
    line: float = 0.0
    ease: float = 1.0
    knee: float = 1.0
    hits: int = 0
    passed: int = 0
    hit_at: float = 0.0
    cool: float = 0.0
    room: float = 8.0
    slow: bool = True
    born: int = 0

    def adaptive(self) -> bool:
        """Whether no limit is known at all."""
        return all(d.limit == 0 for d in self.dimensions)

    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        if 0 < self.told[2] <= len(self.intents):
            return False
        return not self.adaptive() or len(self.intents) < self.room

    def grow(self) -> None:
        """One more call at once, if that is what limits."""
        if self.adaptive() and len(self.intents) + 1 >= self.room * 0.9:
            self.room = min(4096.0, self.room + (1 if self.slow else 1 / self.room))

    def recover(self, now: float) -> None:
        """Easing ends, slowly around the knee, and only while calls come."""
        if self.ease < 1:
            pace = min(0.1, max(0.003, abs(self.ease / self.knee - 1) / 2))
            self.ease = min(1.0, self.ease * (1 + pace * min(1.0, now - self.eased)))
        self.eased = now

    def freeze(self, duration: float, now: float) -> None:
        """Moves everything behind a freeze."""
        start, end = max(now, self.frozen), now + min(duration, DAY)
        if end <= start:
            return
        for d in self.dimensions:
            d.tat = max(d.tat, start) + end - start
        self.frozen = end
        self.pushed += end - start

    def throttled(self, now: float) -> None:
        """Counts a 429; a burst of them makes everything slower."""
        if now - self.hit_at > 10:
            self.hits, self.hit_at = 0, now
        self.hits += 1
        if self.hits < 3 or now < self.cool:
            return
        self.knee = max(0.05, self.ease * max(0.5, self.passed / (self.passed + self.hits)))
        self.ease = self.knee * 0.9
        self.hits, self.passed, self.cool = 0, 0, now + 1.5
        self.room = max(1, math.floor(min(self.room, len(self.intents) + 1) * 0.75))
        self.slow = False
