"""Which fault is played where: lanes with a world of their own, two of them at a time."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

from core.errors import LlmsweepError
from scripts.bench import report
from scripts.bench.arena import Disks, Stalled, arena, one_disk, wait_for
from scripts.bench.faults import answers, commands, disk, judge, network, processes, rabbit, servers
from scripts.bench.faults.judge import Case
from scripts.bench.faults.stage import NotPlayable, Stage
from scripts.bench.faults.table import show
from scripts.bench.report import Row

_BAD_INPUT = 2
_LONGEST_NAME = 100
_SETTLED_S = 60.0  # the reaper's 20 s, its turns, and a loaded machine

Play: TypeAlias = Callable[[Stage], Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Faults that share servers, a simulator and workers. ``settings`` are the workers'."""

    plays: Mapping[str, Play]
    latency: str = "lognormal:0.4,0.4"
    staff: int = 4
    slots: int = 4
    module: str = "workers.main"
    settings: Mapping[str, str] = field(default_factory=dict)
    disks: Disks = one_disk


_SLOTS = {"OPENAI_MAX_CONCURRENT_REQUESTS": "16"}

_LANES: Mapping[str, Lane] = {
    "cluster": Lane(
        settings=_SLOTS,
        latency="lognormal:0.8,0.4",
        plays={
            "sigkill": processes.worker_killed,
            "sigterm": processes.worker_terminated,
            "sigterm-away": processes.worker_terminated_away,
            "broker-killed": servers.broker_killed,
            "broker-flushed": servers.broker_flushed,
            "broker-full": servers.broker_full,
            "cache-killed": servers.cache_killed,
            "postgres-restarted": servers.postgres_restarted,
            "postgres-read-only": servers.postgres_read_only,
            "postgres-away": servers.postgres_away,
            "postgres-hung": servers.postgres_hung,
            "producer-killed": commands.producer_killed,
            "two-producers": commands.two_producers,
            "delivered-twice": commands.delivered_twice,
            "paused": commands.paused,
            "cancelled": commands.cancelled,
        },
    ),
    "answers": Lane(
        staff=3,
        settings={**_SLOTS, "OPENAI_REQUEST_TIMEOUT": "5"},
        plays={
            "throttled": answers.throttled,
            "no-money": answers.no_money,
            **{name.replace(" ", "-").lower(): answers.passing(name) for name in answers.PASSING},
            "wrong-schema": answers.wrong_schema,
            "content-filter": answers.content_filter,
            "huge": answers.huge,
        },
    ),
    "frozen": Lane(settings=_SLOTS, staff=3, latency="lognormal:0.8,0.4", plays={"frozen": processes.worker_frozen}),
    "flapping": Lane(settings=_SLOTS, staff=2, plays={"flapping": answers.flapping}),
    "disk": Lane(
        settings=_SLOTS,
        latency="lognormal:0.8,0.4",
        disks=disk.small_disks,
        plays={"postgres-disk-full": disk.postgres_full, "broker-disk-full": disk.broker_full},
    ),
    "network": Lane(
        settings={**_SLOTS, "OPENAI_REQUEST_TIMEOUT": "5"},
        staff=3,
        plays={
            "provider-link": network.provider_link,
            "postgres-link": network.postgres_link,
            "redis-link": network.redis_link,
            "half-open": network.all_links,
        },
    ),
    "rabbit": Lane(settings=_SLOTS, staff=3, latency="lognormal:0.6,0.4", plays={"rabbitmq": rabbit.rabbit_as_broker}),
    "peers": Lane(
        settings={"OPENAI_MAX_CONCURRENT_REQUESTS": "64"},
        staff=1,
        slots=8,
        latency="lognormal:1.5,0.3",
        plays={"peers": processes.peers},
    ),
    "poison": Lane(
        settings={**_SLOTS, "CHUNK_LEASE_S": "3"},
        staff=2,
        slots=2,
        module="scripts.bench.faults.poisonous",
        plays={"poison": processes.poison},
    ),
}
_FIRST = ("cluster", "answers", "disk")  # one thread plays these, another one the rest, which mostly waits


def names() -> list[str]:
    """All faults."""
    return [name for lane in _LANES.values() for name in lane.plays]


def run(wanted: Sequence[str]) -> int:
    """Plays these faults, or all. Prints the table, writes the report; 1 when a row does not hold."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        sys.stderr.write(f"bench: no fault {', '.join(unknown)}; there are {', '.join(names())}\n")
        return _BAD_INPUT
    began = time.monotonic()
    chosen = set(wanted or names())
    threads = (_FIRST, [lane for lane in _LANES if lane not in _FIRST])
    with ThreadPoolExecutor(len(threads)) as pool:
        parts = list(pool.map(lambda lanes: [row for lane in lanes for row in _on(_LANES[lane], chosen)], threads))
    rows = [row for part in parts for row in part]
    if not wanted:
        rows.append(judge.bounded("whole run", "took", round(time.monotonic() - began), "s", 900))
    report.store(_target(chosen), [row for row in rows if row.unit != judge.NOT_PLAYED])
    show(rows)
    return 1 if any(row.holds is False for row in rows) else 0


def _target(chosen: set[str]) -> str:
    """What the report is called. A part never takes the place of the whole."""
    return "faults" if chosen == set(names()) else f"faults-{'+'.join(sorted(chosen))}"[:_LONGEST_NAME]


def _on(lane: Lane, chosen: set[str]) -> list[Row]:
    try:
        return play(lane, chosen)
    except NotPlayable as exc:
        return [judge.not_played(name, exc) for name in lane.plays if name in chosen]


def play(lane: Lane, chosen: set[str]) -> list[Row]:
    """A lane's chosen faults, one after the other, judged together when nothing is in flight any more."""
    plays = {name: one for name, one in lane.plays.items() if name in chosen}
    if not plays:
        return []
    rows: list[Row] = []
    with arena(lane.disks, **lane.settings) as made:
        simulator = made.simulator(latency=lane.latency)
        stage = Stage(arena=made, simulator=simulator, slots=lane.slots, staff_size=lane.staff, module=lane.module)
        cases = [case for name, one in plays.items() if (case := _played(stage, name, one, rows)) is not None]
        left = _settled(stage)
        for case in cases:
            rows += judge.rows(case, stage.engine, left)
        stage.close()
    return rows


def _played(stage: Stage, name: str, one: Play, rows: list[Row]) -> Case | None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}\n")
    try:
        return one(stage)
    except NotPlayable as exc:
        rows.append(judge.not_played(name, exc))
        return None
    except (Stalled, LlmsweepError, OSError, subprocess.SubprocessError) as exc:
        rows.append(judge.stalled(name, exc))
        stage.keep_logs(report.DIRECTORY / f"faults-{name}.log")
        stage.clear()
        return None


def _settled(stage: Stage) -> int:
    """Waits until dead workers' calls are booked; returns how many intents are left all the same."""
    try:
        wait_for("no call in flight", lambda: not stage.intents(), timeout_s=_SETTLED_S, every_s=0.5)
    except Stalled:
        return len(stage.intents())
    return 0
