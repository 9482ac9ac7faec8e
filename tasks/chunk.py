"""The chunk tasks, one name a kind (``docstring.chunk`` ...): thin adapters between Celery and the engine."""

import logging
from collections.abc import Callable
from typing import ClassVar

from celery import Task

from core.errors import LedgerUnavailable, LlmsweepError
from core.model import ChunkRef
from core.ports import ChunkSummary
from tasks.app import app
from tasks.registry import NAMES

log = logging.getLogger(__name__)

Runner = Callable[[ChunkRef], ChunkSummary | None]


class ChunkFailed(LlmsweepError):
    """A defect of ours ended the chunk's task; the ledger gives the chunk out again."""


class ChunkTask(Task):  # type: ignore[type-arg]  # celery-types makes it generic, Celery at run time does not
    """Runs a chunk on the worker's engine. ``workers.main`` puts the engine's entry here when the worker starts."""

    abstract = True
    runner: ClassVar[Runner | None] = None

    def run(self, sweep_id: int, chunk_no: int) -> str:
        """One chunk; the return value is what Flower shows."""
        runner = type(self).runner
        if runner is None:
            raise RuntimeError("start workers with `sweep worker`: this process has no engine")
        if not (_is_number(sweep_id) and _is_number(chunk_no)):
            return "refused: the message names no chunk"
        ref = ChunkRef(sweep_id=sweep_id, no=chunk_no)
        try:
            return describe(runner(ref))
        except LedgerUnavailable as exc:
            # The chunk is not leased; the feeder publishes it again when the ledger is back.
            log.warning("chunk given back", extra={"sweep": sweep_id, "chunk": chunk_no, "error": str(exc)})
            return "given back: the ledger is away"
        except Exception as exc:
            # Its words may quote a prompt or an answer, and Celery would send them to Flower as they are.
            log.exception("chunk failed", extra={"sweep": sweep_id, "chunk": chunk_no})
            raise ChunkFailed(f"{type(exc).__name__}; the worker's log says where") from None


def _is_number(value: object) -> bool:
    """Whether it can be an id: whoever can write to the broker can write anything."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def describe(summary: ChunkSummary | None) -> str:
    """``64 done (12 cached) 0 failed $0.0132``."""
    if summary is None:
        return "nothing to do: leased or finished elsewhere, or the sweep is not running"
    text = f"{summary.done} done ({summary.cached} cached) {summary.failed} failed ${summary.cost_usd:.4f}"
    if summary.fallback:
        text += f" {summary.fallback} by rule"
    if summary.left:
        text += f" {summary.left} left"
    return text


def task_name(kind: str) -> str:
    """The Celery name of a kind's chunk task."""
    return f"{kind}.chunk"


for _kind in NAMES:
    app.register_task(type(f"{_kind.title()}Chunk", (ChunkTask,), {"name": task_name(_kind), "__module__": __name__})())
