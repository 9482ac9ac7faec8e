"""What a fault did, held against what it may do. The simulator's count is the judge, not our own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.clock import SystemClock
from core.model import Usage
from core.pricing import price
from db.engine import Engine, transaction
from db.progress import SweepStatus, status
from scripts.bench.arena import MODEL
from scripts.bench.report import Row

RESUMED_GOAL_S = 15.0

NOT_PLAYED = "not played"

LOST, UNSETTLED, BEYOND = "jobs lost", "jobs not in exactly one final state", "calls beyond the unique ones"
OUTSIDE, INTENTS, RESUMED = "cost outside its interval", "intents left behind", "progress resumed"
MEASURES = {
    LOST: "lost",
    UNSETTLED: "unsettled",
    BEYOND: "paid twice",
    OUTSIDE: "cost off",
    INTENTS: "intents left",
    RESUMED: "resumed s",
}
"""What is asked of every fault, and the heads of its columns."""

_STATES = """
    SELECT count(*) FILTER (WHERE j.state = s.state), s.state
    FROM unnest(ARRAY['pending', 'done', 'fallback', 'failed', 'cancelled']) AS s (state)
    LEFT JOIN jobs j ON j.sweep_id = %s GROUP BY s.state
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault as it went. ``bound``: calls in flight at each kill; ``failed`` and ``cancelled``: jobs that this fault
    may end so. ``resumed_s`` None: nothing died. ``extra``: what this fault alone promises.
    """

    fault: str
    sweep: str
    jobs: int
    stats: Mapping[str, Any]
    bound: int = 0
    failed: int = 0
    cancelled: int = 0
    resumed_s: float | None = None
    extra: Sequence[Row] = field(default_factory=tuple)

    def resumed(self, seconds: float) -> "Case":
        """With the time until it went on."""
        return replace(self, resumed_s=seconds)

    def also(self, *extra: Row) -> "Case":
        """With more rows of its own."""
        return replace(self, extra=(*self.extra, *extra))


def rows(case: Case, engine: Engine, intents: int) -> list[Row]:
    """All that is asked of every fault, then what is asked of this one. To be called once nothing is in flight."""
    found = status(engine, case.sweep)
    beyond = int(case.stats["duplicates"])
    judged = [
        _row(case, LOST, _lost(case, found), "jobs", "0", holds=_lost(case, found) == 0),
        _row(case, UNSETTLED, *_unsettled(engine, found)),
        _row(case, BEYOND, beyond, "calls", f"<= {case.bound}", holds=beyond <= case.bound),
        _row(case, OUTSIDE, *_outside(case, found)),
        _row(case, INTENTS, intents, "calls", "0", holds=intents == 0),
    ]
    if case.resumed_s is not None:
        holds = case.resumed_s <= RESUMED_GOAL_S
        judged.append(_row(case, RESUMED, round(case.resumed_s, 2), "s", f"<= {RESUMED_GOAL_S:g}", holds=holds))
    return [*judged, *case.extra]


def stalled(fault: str, error: Exception) -> Row:
    """A fault that could not be judged."""
    return Row(row=f"{fault}: {error}", value=1, unit="stalled", goal="0", holds=False)


def bounded(fault: str, measure: str, value: float, unit: str, most: float) -> Row:
    """A figure that must not exceed a bound."""
    return Row(row=f"{fault}: {measure}", value=value, unit=unit, goal=f"<= {most:g}", holds=value <= most)


def not_played(fault: str, why: Exception) -> Row:
    """A fault that this machine cannot have: neither holds nor fails, and is in no report."""
    return Row(row=f"{fault}: not playable here ({why})", value=0, unit=NOT_PLAYED)


def measured(fault: str, measure: str, value: float, unit: str) -> Row:
    """A figure that tells something, and is held against nothing."""
    return Row(row=f"{fault}: {measure}", value=value, unit=unit)


def _row(case: Case, measure: str, value: float, unit: str, goal: str, holds: bool) -> Row:  # noqa: FBT001 - spread
    return Row(row=f"{case.fault}: {measure}", value=value, unit=unit, goal=goal, holds=holds)


def _lost(case: Case, found: SweepStatus) -> int:
    """Jobs that are pending, or ended in a way that the fault does not excuse."""
    excused = min(found.failed, case.failed) + min(found.cancelled, case.cancelled)
    return case.jobs - found.done - excused


def _unsettled(engine: Engine, found: SweepStatus) -> tuple[int, str, str, bool]:
    """The jobs' own states against the counts that are kept beside them."""
    with transaction(engine) as cursor:
        cursor.execute(_STATES, (found.sweep_id,))
        states = {state: int(count) for count, state in cursor.fetchall()}
    kept = {name: getattr(found, name) for name in ("pending", "done", "fallback", "failed", "cancelled")}
    wrong = states["pending"] + sum(abs(states[name] - kept[name]) for name in kept)
    return wrong, "jobs", "0", wrong == 0


def _outside(case: Case, found: SweepStatus) -> tuple[float, str, str, bool]:
    """What the simulator billed, against the sweep's spent..spent at most."""
    billed = case.stats["tokens"]
    usage = Usage(prompt=billed["prompt"], completion=billed["completion"])
    truth = price("openai", MODEL, usage, base_url="", now=SystemClock().time()) or 0.0
    low = found.cost_usd or 0.0
    high = found.cost_usd_max if found.cost_usd_max is not None else truth
    outside = max(low - truth, truth - high, 0.0)
    return round(outside, 9), "USD", f"0 ({low:.6f} <= {truth:.6f} <= {high:.6f})", outside < 1e-7
