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

    def used_in_turn(self, limits: Limits) -> float:
        """Share of the dimension that binds, where they take turns: of the seconds before and after no change."""
        by_tokens = [self.between(at, at + 1).used(Limits(tpm=limits.tpm)) for at in range(len(self))]
        by_requests = [self.between(at, at + 1).used(Limits(rpm=limits.rpm)) for at in range(len(self))]
        binds = [a > b for a, b in zip(by_tokens, by_requests, strict=True)]
        inner = [at for at in range(1, len(self) - 1) if binds[at - 1] == binds[at] == binds[at + 1]]
        return sum(max(by_tokens[at], by_requests[at]) for at in inner) / len(inner)

    def steady_s(self, limits: Limits) -> int:
        """Seconds from the first call until the quota is used; the length of the curve if it never is."""
        for at in range(len(self) - _AHEAD_S + 1):
            if self.between(at, at + _AHEAD_S).used(limits) >= _STEADY:
                return at
        return len(self)


def most(stats: Mapping[str, Any], limits: Limits, seconds: int) -> float:
    """The most in any sliding window of 1 or 60 seconds, as the simulator saw it, against that much of the quota."""
    pairs = (("requests", limits.rpm), ("tokens", limits.tpm))
    quota_s = seconds / _MINUTE
    return max(float(stats["windows"][f"{what}_{seconds}s"]) / (limit * quota_s) for what, limit in pairs if limit)
