"""The twin of window.lua: what was booked in the last minute or day, in slots of time."""

import math
from dataclasses import dataclass, field

from core.gate.rows import Row

MINUTE = 60
PARTS = 48
SPARE = 12


@dataclass(slots=True)
class Window:
    """Counts a slot. Sums are added anew for each question: so the script's running one is checked against them."""

    width: int
    parts: int
    head: int = -(10**9)
    n: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, row: Row) -> "Window":
        """An empty one."""
        width = row.window_s // PARTS if row.window_s > MINUTE else 1
        parts = row.window_s // width
        return cls(width=width, parts=parts, n=[0.0] * (parts + SPARE))

    @property
    def slots(self) -> int:
        """How many are kept."""
        return len(self.n)

    def roll(self, k: int) -> range:
        """Makes a slot the newest, if it is newer; returns those that are fresh."""
        fresh = range(max(self.head + 1, k - self.slots + 1), k + 1)
        for s in fresh:
            self.n[s % self.slots] = 0.0
        self.head = max(self.head, k)
        return fresh

    def keeps(self, k: int) -> bool:
        """Whether a slot is still known."""
        return self.head - self.slots < k <= self.head

    def add(self, k: int, count: float) -> None:
        """Counts in a slot that is kept."""
        self.n[k % self.slots] += count

    def used(self, t: float, since: int) -> float:
        """What was booked in the window before t: of a minute the oldest slot in part, of a day as a whole."""
        k = math.floor(t / self.width)
        oldest = k - self.parts
        total = self._span(max(oldest + 1, since), k)
        if oldest >= since and self.keeps(oldest):
            total += self.n[oldest % self.slots] * (1 if self.width > 1 else 1 - (t - k))
        return total

    def between(self, start: float, end: float) -> float:
        """What was booked between two instants, of the seconds at both ends in part."""
        first, last = math.floor(start / self.width), math.floor(end / self.width)
        before = self._span(first, first) * (start / self.width - first)
        return self._span(first, last) - before - self._span(last, last) * (last + 1 - end / self.width)

    def frees(self, over: float, now: float) -> float:
        """When enough has left the window for so much more."""
        oldest = math.floor(now / self.width) - self.parts
        for k in range(max(oldest, self.head - self.slots + 1), self.head + 1):
            over -= self.n[k % self.slots]
            if over <= 0:
                return float((k + self.parts + 1) * self.width)
        return now + self.width * self.parts

    def _span(self, first: int, last: int) -> float:
        kept = range(max(first, self.head - self.slots + 1), min(last, self.head) + 1)
        return sum(self.n[k % self.slots] for k in kept)
