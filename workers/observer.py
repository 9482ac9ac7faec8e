"""A sweep as a person watches it: the ledger's counts and the gates of its providers, in one value."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.errors import GateUnavailable
from core.model import JsonObject, SweepState
from core.ports import GateStatus
from core.settings import Settings
from db import progress
from db.engine import connect
from db.progress import SweepStatus
from workers.gates import Onlooker

_PARKED = {SweepState.PAUSED, SweepState.BUDGET_EXHAUSTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepView:
    """``gates`` lacks a provider whose gate could not be asked."""

    status: SweepStatus
    gates: Mapping[str, GateStatus] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether waiting for it makes sense."""
        return self.status.state is SweepState.RUNNING

    @property
    def exit_code(self) -> int:
        """0 all well (so far), 1 some jobs failed or the sweep was cancelled, 3 parked."""
        if self.status.state in _PARKED and self.status.reason:
            return 3
        faults = any(not problem.get("by_design") for problem in self.status.problems)
        given_up = self.status.state is SweepState.CANCELLED  # known before its jobs are counted as cancelled
        return 1 if given_up or self.status.failed or self.status.cancelled or faults else 0

    def as_json(self) -> JsonObject:
        """The fields that machines read (`sweep status --json`)."""
        s = self.status
        return {
            "name": s.name,
            "state": s.state.value,
            "reason": s.reason,
            "jobs": s.jobs,
            "pending": s.pending,
            "done": s.done,
            "cached": s.cached,
            "fallback": s.fallback,
            "failed": s.failed,
            "cancelled": s.cancelled,
            "calls": s.calls,
            "calls_unknown": s.calls_unknown,
            "tokens": {
                "prompt": s.tokens.prompt,
                "completion": s.tokens.completion,
                "cached": s.tokens.cached,
                "reasoning": s.tokens.reasoning,
            },
            "cost_usd": s.cost_usd,
            "cost_usd_max": s.cost_usd_max,
            "budget_usd": s.budget_usd,
            "rate_per_s": s.rate_per_s,
            "eta_s": s.eta_s,
            "problems": [dict(problem) for problem in s.problems],
            "providers": {name: self._provider(name) for name in s.providers},
        }

    def _provider(self, name: str) -> JsonObject:
        done, gate = self.status.providers[name], self.gates.get(name)
        return {
            "queue": done.queue,
            "breaker": None if gate is None else gate.breaker,
            "rpm_used": None if gate is None else gate.rpm_used,
            "tpm_used": None if gate is None else gate.tpm_used,
            "in_flight": None if gate is None else gate.in_flight,
            "calls": done.calls,
            "failed": done.failed,
        }


class Observer:
    """Asks PostgreSQL and the gate; cheap enough for several times a second."""

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self._engine = connect(settings.database_url, role="reader", pool=1)
        self._runner = runner
        self._onlooker = Onlooker(settings.redis_url)

    def one(self, name: str) -> SweepView:
        """One sweep. Raises InputError for an unknown name, LedgerUnavailable."""
        found = progress.status(self._engine, name)
        return SweepView(status=found, gates=self._runner.run(self._gates(found)))

    def all(self) -> list[SweepView]:
        """All sweeps, the newest first, without their providers."""
        return [SweepView(status=found) for found in progress.sweeps(self._engine)]

    def close(self) -> None:
        """Closes the connections."""
        self._runner.run(self._onlooker.close())
        self._engine.dispose()

    async def _gates(self, found: SweepStatus) -> dict[str, GateStatus]:
        try:
            return await self._onlooker.status(found.providers)
        except GateUnavailable:
            return {}


@contextmanager
def observing(settings: Settings) -> Iterator[Observer]:
    """An observer, closed at the end."""
    with asyncio.Runner() as runner:
        observer = Observer(settings, runner)
        try:
            yield observer
        finally:
            observer.close()
