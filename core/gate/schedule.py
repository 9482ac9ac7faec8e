"""The twin of schedule.lua, line by line: when may the next call go? Its head says how it works."""

import math
from dataclasses import dataclass, field

SLOTS = 72
HORIZON = 1.2
JITTER = 0.35
FREE = 1e6
BURST = (0.2, 0.4)
FULL = (1.0, 0.993)


@dataclass(slots=True)
class Dimension:
    """A virtual queue in seconds of quota. Rates are units a second, limits units a minute (0: none)."""

    burst: float
    full: float = 1.0
    tat: float = 0.0
    head: int = -(10**9)
    since: int = 0
    limit: int = 0
    hint: int = 0
    hint_at: int = 0
    cap: float = 0.0
    cap_until: float = 0.0
    ease: float = 1.0
    n: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    h: list[float] = field(default_factory=lambda: [FREE] * SLOTS)

    def used(self, t: float, since: int) -> float:
        """What was booked in the minute before t, the oldest second in part."""
        second = math.floor(t)
        first = max(second - 59, since, self.head - SLOTS + 1)
        total = sum(self.n[s % SLOTS] for s in range(first, min(second, self.head) + 1))
        oldest = second - 60
        if since <= oldest and self.head - SLOTS < oldest <= self.head:
            total += self.n[oldest % SLOTS] * (1 - (t - second))
        return total

    def seconds(self, cost: float) -> float:
        """Seconds of quota that a cost takes."""
        rate = self.limit / 60 * self.ease
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
        slack = 1 - JITTER - cost / (self.limit / 60 * self.ease)
        t = max(now, self.tat - max(0.0, min(self.burst, slack)))
        over = self.used(t, self.since) + cost - self.limit * self.full
        return t + self.seconds(over) if over > 0 else t

    def book(self, cost: float, t: float) -> None:
        """Books a call that goes at t."""
        second = math.floor(t)
        self._roll(second)
        i = second % SLOTS
        self.n[i] += cost
        if self.limit == 0:
            return
        ahead = self.tat - t
        self.h[i] = self.h[i] + ahead if ahead < 0 and self.h[i] < 0 else min(self.h[i], ahead)
        start = max(self.tat, t)
        self.tat = start + self._lasts(cost, start)

    def correct(self, second: int, delta: float) -> None:
        """The real figure of what was booked in a second is more (or less) by delta."""
        if second <= self.head - SLOTS or second > self.head:
            return
        self.n[second % SLOTS] += delta
        if self.limit == 0:
            return
        x = math.copysign(self.seconds(abs(delta)), delta)
        for s in range(second + 1, self.head + 1):
            h = self.h[s % SLOTS]
            if h < FREE:
                self.h[s % SLOTS] = h + x
                x = max(0.0, min(x, h + x)) if x > 0 else -min(-x, max(0.0, h))
        self.tat += x

    def set_limit(self, told: int, now: float) -> bool:
        """Puts the limit in force: what was told, or hinted at if that is less. True: it has dropped."""
        limit = self.hint if self.hint > 0 and (told == 0 or self.hint < told) else told
        if limit == self.limit:
            return False
        dropped = 0 < limit < self.limit
        if dropped:
            self.tat = now + max(0.0, self.tat - now) * self.limit / limit
            self.since = math.floor(now)
        elif self.limit == 0:
            self.tat = max(self.tat, now + self.burst)
            self.since = math.floor(now)
        self.limit = limit
        return dropped

    def take_hint(self, limit: int, remaining: float, reset_s: float, second: int, now: float) -> None:
        """Takes what a response header told."""
        if second < self.hint_at:
            return
        self.hint_at = second
        self.hint = limit
        if remaining >= 0 and reset_s > 1.5 and limit > 0:
            self.cap = max(remaining / reset_s, limit / 60 * 0.05)
            self.cap_until = now + min(reset_s, 5)
        else:
            self.cap_until = 0.0

    def _roll(self, second: int) -> None:
        for s in range(max(self.head + 1, second - SLOTS + 1), second + 1):
            self.n[s % SLOTS] = 0.0
            self.h[s % SLOTS] = FREE
        self.head = max(self.head, second)
