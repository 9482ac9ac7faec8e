"""How far back a provider's calls tell how it answers now: to the last time that it began to answer otherwise.

A provider has hours that are slower, a model is moved to other machines, another server comes behind the name. Calls
of both sides of such a change, taken together, are like neither: a few old ones that took long would be the tail of
every forecast. So the calls are cut where both sides are most unlike, in latency (the two-sample Kolmogorov-Smirnov
statistic) or in the share that failed, the newer side is looked at again, and so on until nothing stands out.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from db.history import PastCall

LEAST = 30
"""Calls that each side has at least, and answers that the newer one has."""

_SPLITS = 100  # that are looked at, evenly spread
# Calls of one and the same manner are cut by luck in about one history in a hundred, whatever their number.
_KS = 2.3  # in units of sqrt(1 / n + 1 / m)
_SHARES = 4.0  # in standard errors

Floats = npt.NDArray[np.float64]


def recent(past: Sequence[PastCall]) -> list[PastCall]:
    """Of calls in any order, those since the last change, the newest first."""
    # In the order that they were sent in: that in which they ended is, within a moment, one of latency.
    ordered = sorted(past, key=_sent_at, reverse=True)
    latencies = np.array([call.latency_ms if call.success else np.nan for call in ordered])
    kept = len(ordered)
    while (cut := _change(latencies[:kept])) is not None:
        kept = cut
    return ordered[:kept]


def _sent_at(call: PastCall) -> datetime:
    return call.created_at - timedelta(milliseconds=call.latency_ms)


def _change(latencies: Floats) -> int | None:
    """Where to cut, if anywhere; a failure is not a number."""
    step = max(1, (len(latencies) - 2 * LEAST) // _SPLITS)
    answered = np.cumsum(~np.isnan(latencies))
    cuts = range(LEAST, len(latencies) - LEAST + 1, step)
    unlike = {cut: _unlikeness(latencies[:cut], latencies[cut:]) for cut in cuts if answered[cut - 1] >= LEAST}
    best = max(unlike, key=unlike.__getitem__, default=None)
    return best if best is not None and unlike[best] > 1 else None


def _unlikeness(newer: Floats, older: Floats) -> float:
    """Above 1, it is no luck."""
    failed = [float(np.isnan(side).mean()) for side in (newer, older)]
    every = (failed[0] * len(newer) + failed[1] * len(older)) / (len(newer) + len(older))
    error = math.sqrt(every * (1 - every) * (1 / len(newer) + 1 / len(older)))
    shares = abs(failed[0] - failed[1]) / error / _SHARES if error else 0.0
    return max(shares, _apart(newer[~np.isnan(newer)], older[~np.isnan(older)]) / _KS)


def _apart(ours: Floats, theirs: Floats) -> float:
    if not len(ours) or not len(theirs):
        return 0.0
    every = np.concatenate((ours, theirs))
    below, beneath = (np.searchsorted(np.sort(side), every, side="right") / len(side) for side in (ours, theirs))
    return float(np.abs(below - beneath).max()) / math.sqrt(1 / len(ours) + 1 / len(theirs))
