"""A sweep's spec as the ledger needs it: its grid unfolded once a process, not once a chunk."""

import sys
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy

from core.errors import InputError
from core.model import ChunkRef, JsonObject, Lease, Variant
from core.sweep import SweepSpec, Target
from db.engine import Cursor, transaction

NOTIFY = "llmsweep_feeder"
"""The channel on which producers and workers wake the feeder."""

_SPEC = """
    SELECT s.spec_json FROM sweeps s JOIN groups g ON g.id = s.group_id WHERE g.group_type = 'sweep' AND g.name = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What never changes about a sweep. A chunk's variant is ``variants[no % len(variants)]``.

    ``waves``: the numbers of the chunks that the second wave and each later one begin with.
    """

    sweep_id: int
    group_id: int
    name: str
    kind: str
    variants: tuple[Variant, ...]
    options: JsonObject
    policy: JsonObject
    chunk_size: int
    jobs_total: int
    reroute: tuple[Target, ...] = ()
    labels: tuple[str, ...] = ("",)
    waves: tuple[int, ...] = ()

    def variant(self, chunk_no: int) -> Variant:
        return self.variants[chunk_no % len(self.variants)]

    def wave(self, chunk_no: int) -> range:
        """The numbers of the chunks that a chunk is in one wave with."""
        index = bisect_right(self.waves, chunk_no)
        bounds = (0, *self.waves, sys.maxsize)
        return range(bounds[index], bounds[index + 1])

    def lease(self, ref: ChunkRef, *, owner: str, fence: int, budget_usd: float | None, stalled: int = 0) -> Lease:
        """The lease of one of the sweep's chunks."""
        return Lease(
            ref=ref,
            owner=owner,
            fence=fence,
            kind=self.kind,
            sweep_name=self.name,
            group_id=self.group_id,
            variant=self.variant(ref.no),
            options=self.options,
            policy=self.policy,
            budget_usd=budget_usd,
            jobs_total=self.jobs_total,
            reroute=self._alternatives(self.variant(ref.no)),
            stalled=stalled,
            wave_start=self.wave(ref.no).start,
            label=self.labels[ref.no % len(self.labels)],
        )

    def _alternatives(self, variant: Variant) -> tuple[Variant, ...]:
        own = Target(provider=variant.provider, model=variant.model)
        others = (target for target in self.reroute if target != own)
        return tuple(replace(variant, provider=target.provider, model=target.model) for target in others)


def plan(spec: SweepSpec, *, sweep_id: int, group_id: int, jobs_total: int, waves: tuple[int, ...] = ()) -> Plan:
    """Unfolds a spec."""
    return Plan(
        sweep_id=sweep_id,
        group_id=group_id,
        name=spec.name,
        kind=spec.kind,
        variants=tuple(spec.variants()),
        options=spec.options,
        policy={
            "cache": spec.cache,
            "on_open": spec.on_open,
            "on_reject": spec.on_reject,
            "repair_turns": spec.repair_turns,
            "parallel_attempts": spec.parallel_attempts,
            "hedge": spec.hedge,
        },
        chunk_size=spec.chunk_size,
        jobs_total=jobs_total,
        reroute=spec.reroute,
        labels=tuple(spec.labels()),
        waves=waves,
    )


def load_plan(cursor: Cursor, sweep_id: int) -> Plan:
    """A sweep's plan from its row. Raises InputError for an unknown sweep."""
    cursor.execute("SELECT group_id, spec_json, jobs_total, waves FROM sweeps WHERE id = %s", (sweep_id,))
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise InputError(f"no sweep has the id {sweep_id}")
    group_id, spec, jobs_total, waves = row
    return plan(
        SweepSpec.model_validate(spec),
        sweep_id=sweep_id,
        group_id=group_id,
        jobs_total=jobs_total,
        waves=tuple(waves),
    )


def targets_of(engine: sqlalchemy.Engine, name: str) -> tuple[Target, ...]:
    """Whom a sweep asks; empty: no sweep has the name. Raises LedgerUnavailable."""
    with transaction(engine) as cursor:
        cursor.execute(_SPEC, (name,))
        row: tuple[Any, ...] | None = cursor.fetchone()
    return SweepSpec.model_validate(row[0]).targets if row else ()
