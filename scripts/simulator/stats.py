"""What the simulator was asked and what it billed: the judge's book.

``requests`` and ``by_status`` count every chat, message and embedding request that arrived, whatever became of it.
*Billed* is a request that was answered with status 200 and a whole, well-formed answer, also when its content is wrong
or the client has gone meanwhile: a provider charges for both. ``unique`` counts the fingerprints billed at least once,
``duplicates`` what was billed beyond the first time. A fingerprint is the SHA-256 of the canonical request body; for
embeddings one an input: model, dimensions and text.

``third_failure`` is the moment in which three answers in a row, in the order in which they were given, were failures as
a circuit breaker counts them: how many requests had arrived by then, and how many of them had no answer yet.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.simulator.windows import Timeline

_IN_A_ROW = 3
_FAILURES = frozenset({"hang", "reset", "408", "409"})  # and all of 5xx
ABANDONED = "499"  # as nginx calls a client that went away


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything counted since the start or the last reset. A call belongs to the run that it arrived in."""

    requests: int = 0
    inputs: int = 0  # embedding inputs, and 1 a chat request, of well-formed requests
    by_status: Counter[str] = field(default_factory=Counter)
    max_in_flight: int = 0
    asked: dict[bytes, int] = field(default_factory=dict)
    billed: dict[bytes, int] = field(default_factory=dict)
    duplicates: int = 0
    prompt_tokens: int = 0  # billed
    completion_tokens: int = 0
    abandoned: int = 0  # the client went away before the answer
    redirects_followed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failures_in_a_row: int = 0
    third_failure: dict[str, int] | None = None
    first_at: float | None = None
    last_at: float | None = None
    timeline: Timeline = field(default_factory=Timeline)

    def ask(self, fingerprints: Sequence[bytes]) -> int:
        """Counts a well-formed request; returns how often its first fingerprint was asked for before."""
        self.inputs += len(fingerprints)
        asked = self.asked
        before = asked.get(fingerprints[0], 0)
        for fingerprint in fingerprints:
            asked[fingerprint] = asked.get(fingerprint, 0) + 1
        return before

    def bill(self, fingerprints: Sequence[bytes], prompt_tokens: int, completion_tokens: int) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        billed = self.billed
        for fingerprint in fingerprints:
            before = billed.get(fingerprint, 0)
            billed[fingerprint] = before + 1
            if before:
                self.duplicates += 1

    def answered(self, status: str, in_flight: int) -> None:
        """Counts an answer and, for the judge of the breaker, the failures in a row."""
        self.by_status[status] += 1
        failed = status in _FAILURES or status.startswith("5")
        if status.startswith("4") and not failed:
            return  # refused, or the client went away: it says nothing of the provider's health
        self.failures_in_a_row = self.failures_in_a_row + 1 if failed else 0
        if self.failures_in_a_row == _IN_A_ROW and self.third_failure is None:
            self.third_failure = {"requests": self.requests, "in_flight": in_flight}

    def report(self) -> dict[str, Any]:
        """All but the maps, which have an entry a fingerprint."""
        return {
            "requests": self.requests,
            "by_status": dict(sorted(self.by_status.items())),
            "inputs": self.inputs,
            "max_in_flight": self.max_in_flight,
            "unique": len(self.billed),
            "duplicates": self.duplicates,
            "abandoned": self.abandoned,
            "redirects_followed": self.redirects_followed,
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "faults": dict(self.faults),
            "third_failure": self.third_failure,
            "first_at": self.first_at,
            "last_at": self.last_at,
            **self.timeline.report(),
        }


class Stats:
    """The current run, and what is in flight across runs."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.run = Run()

    def arrive(self, wall: float) -> Run:
        run = self.run
        run.requests += 1
        self.in_flight += 1
        run.max_in_flight = max(run.max_in_flight, self.in_flight)
        if run.first_at is None:
            run.first_at = wall
        run.last_at = wall
        return run

    def leave(self, run: Run, status: str) -> None:
        """``status``: what was sent, or the fault's name where no status was."""
        self.in_flight -= 1
        run.answered(status, self.in_flight)

    def reset(self) -> None:
        self.run = Run(max_in_flight=self.in_flight)

    def report(self, *, brief: bool = False) -> dict[str, Any]:
        run = self.run
        report = run.report() | {"in_flight": self.in_flight}
        if brief:
            return report
        return report | {
            "by_fingerprint": {key.hex(): count for key, count in run.billed.items()},
            "asked_by_fingerprint": {key.hex(): count for key, count in run.asked.items()},
        }
