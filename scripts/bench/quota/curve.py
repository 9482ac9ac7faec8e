"""What the simulator has counted second by second, against the quota that it had then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.ports import Limits

_STEADY = 0.97  # of the quota over the next _AHEAD_S seconds: from then on a run counts as steady
_AHEAD_S = 5
_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Accepted requests, their tokens, and refusals for quota, a second each."""

    requests: Sequence[int]
    tokens: Sequence[int]
    refused: Sequence[int]

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> "Curve":
        """Of the simulator's ``/stats``."""
        return cls(**stats["per_second"])

    def __len__(self) -> int:
        return len(self.requests)

    def between(self, start: int, end: int) -> "Curve":
        """A part of it."""
        return Curve(requests=self.requests[start:end], tokens=self.tokens[start:end], refused=self.refused[start:end])

    def used(self, limits: Limits) -> float:
        """Share of the quota; of the dimension that is used more, where there are two."""
        seconds = max(1, len(self))
        pairs = ((self.requests, limits.rpm), (self.tokens, limits.tpm))
        return max(sum(counts) / seconds / (limit / _MINUTE) for counts, limit in pairs if limit)

    def binding(self, limits: Limits, width: int) -> float:
        """Share of the quota where each dimension binds in its turn: the mean over windows of a few seconds."""
        windows = [self.between(at, at + width).used(limits) for at in range(0, len(self) - width + 1, width)]
        return sum(windows) / len(windows)

    def steady_s(self, limits: Limits) -> int:
        """Seconds from the first call until the quota is used; the length of the curve if it never is."""
        for at in range(len(self) - _AHEAD_S + 1):
            if self.between(at, at + _AHEAD_S).used(limits) >= _STEADY:
                return at
        return len(self)

    def busiest_minute(self, limits: Limits) -> float:
        """The most in any 60 whole seconds, against the limit; what was refused counts as tried."""
        ends = range(min(_MINUTE, len(self)), len(self) + 1)
        tried = Curve(
            requests=[a + b for a, b in zip(self.requests, self.refused, strict=True)],
            tokens=self.tokens,
            refused=self.refused,
        )
        return max(tried.between(max(0, end - _MINUTE), end).used(limits) * min(_MINUTE, end) / _MINUTE for end in ends)
