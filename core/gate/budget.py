"""The twin of budget.lua: money a sweep, in whole nano-dollars."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

GRACE_S = 1.5


@dataclass(slots=True)
class Era:
    """One life of the state."""

    born: int
    settled: float  # until then living clients bring back what was lost
    seq: int = 0
    lost: float = 0.0


@dataclass(slots=True)
class _Budget:
    spent: int = 0
    reserved: int = 0
    limbo: int = 0
    born: int = 0


class Budgets:
    """All sweeps' money."""

    def __init__(self) -> None:
        self._sweeps: dict[int, _Budget] = defaultdict(_Budget)

    def reserve(self, sweep: int, worst: int) -> None:
        """Keeps a call's worst case."""
        self._sweeps[sweep].reserved += worst

    def spend(self, sweep: int, cost: int, reserved: int, era: Era) -> None:
        """Turns what was reserved into what it cost."""
        m = self._sweeps[sweep]
        m.reserved = max(0, m.reserved - reserved)
        if m.born == era.born:
            m.spent += cost
        else:
            m.limbo += cost

    def set_spent(self, sweep: int, spent: int, era: Era) -> None:
        """Takes the ledger's sum."""
        m = self._sweeps[sweep]
        m.spent = max(m.spent, spent)
        if m.born != era.born:
            m.spent += m.limbo
            m.limbo = 0
        m.born = era.born

    def check(self, sweep: int, worst: int, cap: int, era: Era, now: float) -> list[Any] | None:
        """Why a call may not be paid for now; None: it may."""
        m = self._sweeps[sweep]
        if m.born != era.born:
            if now < era.settled:
                return ["wait", era.settled - now, "calls in flight report what they reserved", 0]
            return ["wait", 1, "budget unknown", 0]
        if m.spent + m.reserved + worst <= cap:
            return None
        if m.spent + worst <= cap:
            return ["wait", 0.5, "budget reserved by calls in flight", 0]
        usd = [amount / 1e9 for amount in (m.spent, cap, worst)]
        return ["refused", "budget", "{:.6f} of {:.6f} USD spent, the next call may cost {:.6f}".format(*usd), -1]
