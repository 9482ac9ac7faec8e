"""The quota: requests and tokens a minute as strict token buckets, charged at arrival.

A bucket holds ``rate * burst`` seconds and refills steadily, so that any window of ``w`` seconds lets at most
``limit / 60 * (w + burst)`` through. A request that is larger than the bucket, though not than the limit itself, passes
when the bucket is full, and leaves it in debt.
"""

from dataclasses import dataclass
from typing import Literal

from core.ports import Limits

Dimension = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One dimension as the rate-limit headers tell it."""

    dimension: Dimension
    limit: int
    remaining: int
    reset_s: float  # until the bucket is full again


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """The dimension that refused a request. ``retry_s`` None: larger than the limit, it can never pass."""

    dimension: Dimension
    limit: int
    asked: int
    retry_s: float | None


class Bucket:
    """One dimension's bucket. Times are the caller's monotonic seconds."""

    def __init__(self, dimension: Dimension, limit: int, burst_s: float, now: float) -> None:
        self.dimension = dimension
        self.limit = limit
        self._rate = limit / 60
        # A bucket that cannot hold one request would never let one through.
        self._capacity = max(1.0, self._rate * burst_s)
        self._level = self._capacity
        self._at = now

    def excess(self, amount: int, now: float) -> Excess | None:
        """None: ``amount`` fits now."""
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        if amount > self.limit:
            return Excess(dimension=self.dimension, limit=self.limit, asked=amount, retry_s=None)
        missing = min(amount, self._capacity) - self._level
        if missing <= 1e-9:
            return None
        return Excess(dimension=self.dimension, limit=self.limit, asked=amount, retry_s=missing / self._rate)

    def take(self, amount: int) -> None:
        self._level -= amount

    def keep(self, used: "Bucket") -> None:
        """Starts with the share that another bucket had left: a changed limit is no new quota."""
        self._level = min(self._capacity, used._level / used._capacity * self._capacity)  # noqa: SLF001  a bucket too

    def level(self) -> Level:
        return Level(
            dimension=self.dimension,
            limit=self.limit,
            remaining=max(0, int(self._level)),
            reset_s=(self._capacity - self._level) / self._rate,
        )


class Quota:
    """All dimensions together: a request passes whole or charges nothing."""

    def __init__(self, limits: Limits, burst_s: float, now: float) -> None:
        self.limits = limits
        self.burst_s = burst_s
        self._buckets = self._filled(now)

    def admit(self, tokens: int, now: float) -> Excess | None:
        """Charges one request and its tokens, or says what it exceeds."""
        for bucket in self._buckets:
            excess = bucket.excess(1 if bucket.dimension == "requests" else tokens, now)
            if excess is not None:
                return excess
        for bucket in self._buckets:
            bucket.take(1 if bucket.dimension == "requests" else tokens)
        return None

    def change(self, limits: Limits, burst_s: float, now: float) -> None:
        """New limits from now on; what is used stays used, in proportion."""
        before = {bucket.dimension: bucket for bucket in self._buckets}
        self.limits, self.burst_s = limits, burst_s
        self._buckets = self._filled(now)
        for bucket in self._buckets:
            if bucket.dimension in before:
                before[bucket.dimension].excess(0, now)
                bucket.keep(before[bucket.dimension])

    def refill(self, now: float) -> None:
        self._buckets = self._filled(now)

    def levels(self) -> list[Level]:
        return [bucket.level() for bucket in self._buckets]

    @property
    def limited(self) -> bool:
        return bool(self._buckets)

    def _filled(self, now: float) -> list[Bucket]:
        pairs: list[tuple[Dimension, int | None]] = [("requests", self.limits.rpm), ("tokens", self.limits.tpm)]
        return [Bucket(name, limit, self.burst_s, now) for name, limit in pairs if limit is not None]
