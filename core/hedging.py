"""When a second call for the same answer is worth its price: only for the few that take much longer than the others.

Source of the scheme: Dean and Barroso, "The Tail at Scale", Communications of the ACM, 2013 (hedged requests).
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""Provider, model, template: calls of one kind take about the same time."""

_LEAST = 50  # calls; fewer tell nothing of a tail
_KEPT = 400
_REFRESH = 25  # calls between two looks at the sample
_COMMON = 0.95
_SLACK = 1.5  # half again as long as 19 of 20 calls: about the 99th percentile, and not inside a crowd that is alike


@dataclass(slots=True)
class _Sample:
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    fresh: int = 0
    patience_s: float | None = None


@dataclass(slots=True)
class _Share:
    calls: int = 0
    hedges: int = 0


class Hedges:
    """A process's experience with latencies, and its count of second calls. Nothing of it outlives the process."""

    def __init__(self) -> None:
        self._samples: defaultdict[Key, _Sample] = defaultdict(_Sample)
        self._shares: defaultdict[int, _Share] = defaultdict(_Share)

    def called(self, sweep_id: int) -> None:
        """Counts a first call."""
        self._shares[sweep_id].calls += 1

    def learn(self, key: Key, latency_s: float) -> None:
        """Takes the time from sending to the whole answer; for a call that was given up, the time until then."""
        sample = self._samples[key]
        sample.latencies.append(latency_s)
        sample.fresh += 1
        if len(sample.latencies) >= _LEAST and (sample.patience_s is None or sample.fresh >= _REFRESH):
            ordered = sorted(sample.latencies)
            sample.patience_s = ordered[int(_COMMON * (len(ordered) - 1))] * _SLACK
            sample.fresh = 0

    def patience_s(self, key: Key) -> float | None:
        """How long to wait for an answer before a second call. None: too little is known."""
        return self._samples[key].patience_s

    def take(self, sweep_id: int, share: float) -> bool:
        """Books a second call, if there are not too many for the first ones."""
        counted = self._shares[sweep_id]
        if counted.hedges + 1 > share * counted.calls:
            return False
        counted.hedges += 1
        return True
