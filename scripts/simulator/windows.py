"""When accepted requests came: seconds for a curve, and exact sliding windows for the judge of a quota."""

from collections import deque
from typing import Any

_KEPT_SECONDS = 7200


class SlidingMax:
    """The most requests and tokens in any window of ``width`` seconds, exactly."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.most_requests = 0
        self.most_tokens = 0
        self._tokens = 0
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, now: float, tokens: int) -> None:
        recent = self._recent
        recent.append((now, tokens))
        self._tokens += tokens
        oldest = now - self.width
        while recent[0][0] <= oldest:
            self._tokens -= recent.popleft()[1]
        self.most_requests = max(self.most_requests, len(recent))
        self.most_tokens = max(self.most_tokens, self._tokens)


class Timeline:
    """Accepted requests and tokens, and refusals for quota, by second since the first request."""

    def __init__(self) -> None:
        self._windows = (SlidingMax(1.0), SlidingMax(60.0))
        self._accepted: dict[int, int] = {}
        self._tokens: dict[int, int] = {}
        self._refused: dict[int, int] = {}

    def accept(self, now: float, tokens: int, *, watched: bool) -> None:
        """``watched``: keep the sliding windows too, which only a quota needs."""
        second = int(now)
        self._accepted[second] = self._accepted.get(second, 0) + 1
        self._tokens[second] = self._tokens.get(second, 0) + tokens
        if len(self._accepted) > _KEPT_SECONDS:
            first = next(iter(self._accepted))
            del self._accepted[first], self._tokens[first]
            self._refused.pop(first, None)
        if watched:
            for window in self._windows:
                window.add(now, tokens)

    def refuse(self, now: float) -> None:
        second = int(now)
        self._refused[second] = self._refused.get(second, 0) + 1

    def report(self) -> dict[str, Any]:
        seconds = [*self._accepted, *self._refused]
        span = range(min(seconds), max(seconds) + 1) if seconds else range(0)
        return {
            "per_second": {
                "requests": [self._accepted.get(second, 0) for second in span],
                "tokens": [self._tokens.get(second, 0) for second in span],
                "refused": [self._refused.get(second, 0) for second in span],
            },
            "windows": {
                f"{kind}_{window.width:.0f}s": most
                for window in self._windows
                for kind, most in (("requests", window.most_requests), ("tokens", window.most_tokens))
            },
        }
