"""The gate in one process's memory, for tests, simulation and runs without a server: same answers as Redis."""

from collections.abc import Sequence
from typing import Any

from core.gate.gate import EPOCH, LimitsOf, Op, ScriptedGate, SpentOf, intent
from core.gate.twin import Twin
from core.ports import Clock, Intent


class MemoryGate(ScriptedGate):
    """Gate and GateAdmin. Never unavailable."""

    def __init__(self, limits: LimitsOf, clock: Clock, *, spent: SpentOf | None = None) -> None:
        super().__init__(limits, clock, spent)
        self._twin = Twin()

    async def _intents(self, provider: str) -> Sequence[tuple[str, Intent]]:
        return [(lane, intent(text, self._now())) for lane, text in self._twin.intents(provider)]

    async def _run(self, op: Op) -> Any:
        answer = self._twin.run(op, self._seq, self._limits, self._now())
        if self._twin.era is not None:
            pushed = [[name, lane.pushed] for name, lane in self._twin.lanes.items()]
            self._heard(self._twin.era.born, self._twin.era.seq, pushed)
        return answer

    def _now(self) -> float:
        return self._clock.time() - EPOCH
