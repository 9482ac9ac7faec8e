"""The twin of schedule.lua, line by line: when may the next call go? Its head says how it works."""

import math
from dataclasses import dataclass, field

from core.gate.rows import Row
from core.gate.window import Window

HORIZON = 1.2
NEAR = 0.3
LARGE = (0.1, 1.0)
JITTER = 0.35
FREE = 1e6


@dataclass(slots=True)
class Dimension:
    """What a row counts. Rates are units a second, limits units a window (0: none)."""

    row: Row
    window: Window = field(init=False)
    h: list[float] = field(init=False)
    paced: bool = field(init=False)
    tat: float = 0.0
    since: int = 0
    limit: int = 0
    hint: int = 0
    hint_at: int = 0
    cap: float = 0.0
    cap_until: float = 0.0
    ease: float = 1.0

    def __post_init__(self) -> None:
        """Empty."""
        self.window = Window.of(self.row)
        self.paced = self.row.burst_s > 0
        self.h = [FREE] * self.window.slots

    def used(self, t: float) -> float:
        """What was booked in the window before t."""
        return self.window.used(t, 0)

    def seconds(self, cost: float) -> float:
        """Seconds of quota that a cost takes."""
        rate = self.limit / self.row.window_s * self.ease
        return cost / (rate * (0.985 if rate < 2 * cost else 0.99))

    def _lasts(self, cost: float, start: float) -> float:
        capped = self.cap_until - start
        if capped <= 0:
            return self.seconds(cost)
        slow = cost / self.cap
        if slow <= capped:
            return max(slow, self.seconds(cost))
        return max(self.seconds(cost), capped + self.seconds(cost - capped * self.cap))

    def earliest(self, cost: float, now: float) -> float:
        """When a call of this cost may go."""
        if self.limit == 0:
            return now
        t = now
        if self.paced:
            size = cost / (self.limit / self.row.window_s * self.ease)
            slack = 1 - JITTER - size * (1 if self.row.counts == "requests" else 2)
            t = max(now, self.tat - max(0.0, min(self.row.burst_s, slack)))
        over = self.window.used(t, self.since) + cost - self.limit * self.row.full
        if over <= 0:
            return t
        return t + self.seconds(over) if self.paced else self.window.frees(over, now)

    def book(self, cost: float, t: float) -> None:
        """Books a call that goes at t."""
        k = math.floor(t / self.window.width)
        self._roll(k)
        self.window.add(k, cost)
        if self.limit == 0 or not self.paced:
            return
        i = k % self.window.slots
        ahead = self.tat - t
        self.h[i] = self.h[i] + ahead if ahead < 0 and self.h[i] < 0 else min(self.h[i], ahead)
        start = max(self.tat, t)
        self.tat = start + self._lasts(cost, start)

    def correct(self, second: int, delta: float) -> None:
        """The real figure of what was booked in a second is more (or less) by delta."""
        k = math.floor(second / self.window.width)
        if delta == 0 or not self.window.keeps(k):
            return
        self.window.add(k, delta)
        if self.limit == 0 or not self.paced:
            return
        x = math.copysign(self.seconds(abs(delta)), delta)
        for s in range(k + 1, self.window.head + 1):
            i = s % self.window.slots
            h = self.h[i]
            if h < FREE:
                self.h[i] = h + x
                x = max(0.0, min(x, h + x)) if x > 0 else -min(-x, max(0.0, h))
        self.tat += x

    def set_limit(self, told: int, now: float) -> bool:
        """Puts the limit in force: what was told, or hinted at if that is less. True: it has dropped.

        ``now``: or the end of a freeze.
        """
        limit = self.hint if self.hint > 0 and (told == 0 or self.hint < told) else told
        if limit == self.limit:
            return False
        dropped = 0 < limit < self.limit
        if self.paced and dropped:
            self.tat = now + max(0.0, self.tat - now) * self.limit / limit
            self.since = math.floor(now)
        elif self.paced and self.limit == 0:
            self.tat = max(self.tat, now + self.row.burst_s)
            self.since = math.floor(now)
        self.limit = limit
        return dropped

    def take_hint(self, limit: int, remaining: float, reset_s: float, second: int, now: float) -> None:
        """Takes what a response header told."""
        if second < self.hint_at:
            return
        self.hint_at = second
        self.hint = limit
        if remaining < 0:
            self.cap_until = 0.0
        elif not self.paced:
            k = math.floor(now / self.window.width)
            self._roll(k)
            self.window.add(k, max(0.0, limit - remaining - self.window.used(now, self.since)))
        elif reset_s > 1.5:
            self.cap = max(remaining / reset_s, limit / self.row.window_s * 0.05)
            self.cap_until = now + min(reset_s, 5)
        else:
            self.cap_until = 0.0

    def _roll(self, k: int) -> None:
        for s in self.window.roll(k):
            self.h[s % self.window.slots] = FREE
