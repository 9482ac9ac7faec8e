"""Sweeps of any kind on an arena, and the errors that the simulated model makes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.model import ResultRow
from core.sweep import SweepSpec, Target
from db.engine import connect
from db.progress import SweepStatus
from db.query import rows as query
from db.results import rows as results
from scripts.bench.arena import MODEL, Arena
from tasks import producer

FAULTS = {"wrong-params": 0.05, "invented-raises": 0.05, "bad-json": 0.05, "prose": 0.05}
"""Shares of the answers; a kind whose answers have neither parameters nor exceptions meets the other two alone."""

_PATIENCE_S = 1_200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A sweep that has ended."""

    name: str
    status: SweepStatus
    seconds: float
    spoiled: int  # answers that the simulator has made wrong
    refused: int  # answers that acceptance has refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An arena with a model that errs. ``directory`` is for inputs and outputs."""

    world: Arena
    directory: Path

    def sweep(self, name: str, kind: str, source: Mapping[str, Any], *, model: str = MODEL, **fields: Any) -> Swept:
        """Submits and waits. Raises Stalled."""
        (simulator,) = self.world.simulators
        simulator.tell("reset")
        spec = SweepSpec(
            name=name, kind=kind, source=dict(source), targets=(Target(provider="openai", model=model),), **fields
        )
        began = time.monotonic()
        producer.submit(self.world.database_url, spec)
        status = self.world.ended(name, timeout_s=_PATIENCE_S)
        seconds = time.monotonic() - began
        (told,) = self._made(name, "count(*) FILTER (WHERE c.metadata_json ->> 'accepted' = 'false') AS refused")
        return Swept(
            name=name,
            status=status,
            seconds=seconds,
            spoiled=sum(simulator.stats()["faults"].values()),
            refused=int(told["refused"]),
        )

    @contextmanager
    def rows(self, name: str, *, vectors: bool = False) -> Iterator[Iterator[ResultRow]]:
        """A sweep's results."""
        engine = connect(self.world.database_url, role="reader", pool=1)
        try:
            yield results(engine, name, vectors=vectors)
        finally:
            engine.dispose()

    def prompts(self, name: str) -> list[str]:
        """What a sweep has told the model, one text a call: neither the instructions nor the model's own words."""
        found = self._made(name, "c.request_json -> 'messages' AS messages")
        return ["\n".join(m["content"] for m in row["messages"] if m["role"] == "user") for row in found]

    def _made(self, name: str, wanted: str) -> Iterator[Mapping[str, Any]]:
        sql = f"""
            SELECT {wanted} FROM raw_calls c JOIN group_members m ON m.call_id = c.id JOIN groups g ON g.id = m.group_id
            WHERE g.name = '{name}' AND m.role = 'made'
        """  # noqa: S608 - names of our own
        yield from query(self.world.database_url, sql)


def stage(world: Arena) -> Stage:
    """A stage with a directory of its own."""
    directory = world.directory / "kinds"
    directory.mkdir()
    return Stage(world=world, directory=directory)
