"""The slowest calls: what so many samples tell of those that are rarer than each of them.

A sweep ends with its slowest call, and a chunk's place is free when its slowest is back. The slowest of 4,000
lognormal calls takes 1.4 times as long as the slowest of 400: who draws from those 400 only, foretells too little. So
where the slowest fifth of the samples lies on a line, the logarithm of the latency over the quantile of the normal
distribution, as it does for lognormal, gamma and exponential latencies, that line is drawn from. Where it does not
(one call in a hundred takes twenty times as long; all take the same), the samples are all that is known.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_SHARE = 0.2
_LEAST = 20  # samples in it
_STRAIGHT = 0.95  # of the logarithms' variance, what the line explains
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
    def of(cls, ordered: Sequence[float]) -> "Tail | None":
        """Of latencies in ascending order; None: they tell no more than they are."""
        count = len(ordered)
        first = count - round(_SHARE * count)
        slowest = ordered[first:]
        if len(slowest) < _LEAST or not 0 < slowest[0] < slowest[-1]:
            return None
        logs = [math.log(latency) for latency in slowest]
        quantiles = [_NORMAL.inv_cdf((first + nth + 0.5) / count) for nth in range(len(slowest))]
        if statistics.correlation(quantiles, logs) ** 2 < _STRAIGHT:
            return None
        sigma, log_s = statistics.linear_regression(quantiles, logs)
        return cls(begins=first / count, least_s=slowest[0], log_s=log_s, sigma=sigma)

    def at(self, share: float) -> float:
        """The latency, in seconds, that this share of all calls is faster than."""
        return max(self.least_s, math.exp(self.log_s + self.sigma * _NORMAL.inv_cdf(min(share, _LAST))))
