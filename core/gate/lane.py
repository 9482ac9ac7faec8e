"""The twin of lane.lua: what shares one quota, a provider or one of its models with limits of its own."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from core.gate.breaker import Breaker
from core.gate.estimate import Learned
from core.gate.rows import ROWS, Row
from core.gate.schedule import HORIZON, Dimension

DAY = 86400.0
START = 16.0


@dataclass(slots=True, kw_only=True)
class Intended:
    """A call that was admitted and not yet settled. ``booked`` and ``guessed`` are amounts by what is counted."""

    admitted: float
    slot: int
    booked: dict[str, int]
    worst: int
    guessed: dict[str, int]
    apart: bool  # input and output were counted apart
    text: str  # as the script keeps it


@dataclass(slots=True)
class LaneState:
    """All that the gate knows of one lane."""

    name: str
    breaker: Breaker
    eased: float
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    models: defaultdict[str, Learned] = field(default_factory=lambda: defaultdict(Learned))
    intents: dict[int, Intended] = field(default_factory=dict)
    told: list[int] = field(default_factory=lambda: [0] * (len(ROWS) + 1))
    frozen: float = 0.0
    pushed: float = 0.0
    line: float = 0.0
    ease: float = 1.0
    knee: float = 1.0
    hits: int = 0
    hit_at: float = 0.0
    hit_pushed: float = 0.0
    cut: int = 0
    room: float = START
    slow: bool = True
    born: int = 0

    def dimension(self, row: Row, told: int) -> Dimension | None:
        """Its dimension of this row; None: nobody has told a limit for it."""
        d = self.dimensions.get(row.name)
        if d is None:
            if told == 0 and not row.always:
                return None
            d = self.dimensions[row.name] = Dimension(row)
        d.ease = self.ease if d.paced else 1.0
        return d

    def refresh(self, told: list[int], lost: float | None, now: float) -> None:
        """Puts the limits in force. ``lost``: when its state was, if it has been."""
        self.told = told
        self.recover(now)
        for row, limit in zip(ROWS, told[1:], strict=True):
            d = self.dimension(row, limit)
            if d is not None:
                d.set_limit(limit, max(now, self.frozen))
                if lost is not None:
                    d.tat = max(d.tat, lost + HORIZON + row.burst_s)

    def counts(self, what: str) -> bool:
        """Whether a dimension counts that."""
        return any(d.row.counts == what for d in self.dimensions.values())

    def adaptive(self) -> bool:
        """Whether nobody tells a speed."""
        return all(d.limit == 0 for d in self.dimensions.values() if d.paced)

    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        if 0 < self.told[0] <= len(self.intents):
            return False
        return not self.adaptive() or len(self.intents) < self.room

    def grow(self) -> None:
        """One more call at once, if that is what limits."""
        if self.adaptive() and len(self.intents) + 1 >= self.room * 0.9:
            self.room = min(4096.0, self.room + (2 if self.slow else 1 / self.room))

    def recover(self, now: float) -> None:
        """Easing ends, slowly around the knee, and only while calls come and go."""
        if self.ease < 1 and now >= self.frozen:
            away = self.ease / self.knee - 1
            pace = min(0.1, max(0.003, away * 0.3 if away > 0 else -away * 0.5))
            self.ease = min(1.0, self.ease * (1 + pace * min(1.0, now - self.eased)))
        self.eased = now

    def freeze(self, duration: float, now: float) -> None:
        """Moves everything behind a freeze."""
        start, end = max(now, self.frozen), now + min(duration, DAY)
        if end <= start:
            return
        for d in self.dimensions.values():
            d.tat = max(d.tat, start) + end - start
        self.frozen = end
        self.pushed += end - start

    def throttled(self, slot: float, now: float) -> None:
        """Counts a 429 of a call booked in that second; a burst of them makes everything slower."""
        if slot < self.cut:
            return
        age = now - self.hit_at - (self.pushed - self.hit_pushed)
        if self.hits == 0 or age > 60 or (age > 10 and self._sent(now) > 10):
            self.hits, self.hit_at, self.hit_pushed, age = 0, now, self.pushed, 0.0
        self.hits += 1
        if self.hits < 3:
            return
        if self.adaptive():
            self._make_room_smaller(now)
        else:
            self._slow_down(now, age)

    def explained(self, now: float) -> None:
        """A header has told: the 429s that follow say nothing."""
        self.hits, self.cut = 0, math.floor(now) + 5

    def _slow_down(self, now: float, age: float) -> None:
        sent = self._sent(now)
        if age < 0.4 or self.hits < sent < 5:
            return
        self.knee = max(0.05, self.ease * max(0.3, 1 - self.hits / max(sent, self.hits + 1)))
        self.ease = self.knee * 0.9
        self._begin_anew(now)

    def _make_room_smaller(self, now: float) -> None:
        self.room = max(1, math.floor(min(self.room, len(self.intents) + 1) * 0.75))
        self.slow = False
        self._begin_anew(now)

    def _begin_anew(self, now: float) -> None:
        self.hits = 0
        self.cut = max(math.floor(now), self.dimensions["requests"].window.head) + 1

    def _sent(self, now: float) -> float:
        return self.dimensions["requests"].window.between(self.hit_at, now)
