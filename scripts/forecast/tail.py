"""The slowest calls: what so many samples tell of those that are rarer than each of them.

A sweep ends with its slowest call, and a chunk's place is free when its slowest is back. The slowest of 4,000
lognormal calls takes 1.4 times as long as the slowest of 400: who draws from those 400 only, foretells too little. So
where the samples lie on a line, the logarithm of the latency over the quantile of the normal distribution, the slowest
fifth is drawn from that line: of all samples, as for lognormal latencies, else of the slowest fifth alone, as for
exponential ones. Where neither is straight (one call in a hundred takes twenty times as long; all take the same), the
samples are all that is known.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_FIFTH = 0.2
# (share of the samples, of their logarithms' variance what the line explains)
_STRAIGHT = ((1.0, 0.99), (_FIFTH, 0.95))
_LEAST = 100  # samples
_NORMAL = statistics.NormalDist()
_LAST = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Latencies of the shares from ``begins`` on, none below ``least_s``."""

    begins: float
    least_s: float
    log_s: float  # at the median
    sigma: float

    @classmethod
    def of(cls, ordered: Sequence[float], share: float) -> "Tail":
        """Of latencies in ascending order, by a line through the slowest ``share`` of them."""
        first = len(ordered) - round(_FIFTH * len(ordered))
        sigma, log_s = statistics.linear_regression(*_slowest(ordered, share))
        return cls(begins=first / len(ordered), least_s=ordered[first], log_s=log_s, sigma=sigma)

    def at(self, share: float) -> float:
        """The latency, in seconds, that this share of all calls is faster than."""
        return max(self.least_s, math.exp(self.log_s + self.sigma * _NORMAL.inv_cdf(min(share, _LAST))))


def straight(ordered: Sequence[float]) -> float | None:
    """The share of the latencies, the slowest ones, that lies on a line; None: they tell no more than they are."""
    if len(ordered) < _LEAST or not 0 < ordered[0] <= ordered[-round(_FIFTH * len(ordered))] < ordered[-1]:
        return None
    for share, explained in _STRAIGHT:
        if statistics.correlation(*_slowest(ordered, share)) ** 2 >= explained:
            return share
    return None


def _slowest(ordered: Sequence[float], share: float) -> tuple[list[float], list[float]]:
    """Quantiles and logarithms."""
    count = len(ordered)
    first = count - round(share * count)
    quantiles = [_NORMAL.inv_cdf((nth + 0.5) / count) for nth in range(first, count)]
    return quantiles, [math.log(latency) for latency in ordered[first:]]
