"""The plays: sweeps ten times as large each time, tables that are full already, a question about 10^7 jobs."""

import json
import statistics
import time

from core.settings import adopt
from core.sweep import SweepSpec, Target
from db.engine import Engine, connect, statement, transaction
from db.progress import status
from scripts.bench.arena import MODEL
from scripts.bench.ground import Ground, NotMeasured
from scripts.bench.scale.drain import Drained, drain
from scripts.forecast.assume import Given
from scripts.forecast.run import forecast

_REPEATS = {1_000: 5, 10_000: 3, 100_000: 1, 1_000_000: 1}
_COMPARED = 10_000
_CACHED = (10_000, 1_000_000)
_PROMPTS = 100_000  # that the large sweep of unique calls has had answered
_FLAT = 1.2
_SUBMIT_GOAL = 25_000
_PRODUCER_MB = 300
_BROKER_MB = 100
_RSS_GROWTH = 1.15
_FILLED = 10_000_000
_STEP = 1_000_000
_FILL_S = 240.0
_STATUS_MS = 50
_ASKED = 25
_LONG_ENOUGH_S = 10.0  # the wall clock starts when the producer has ended: some tenths of a second late

_FILL_SWEEP = """
    WITH made AS (INSERT INTO groups (group_type, name) VALUES ('sweep', 'filled') RETURNING id)
    INSERT INTO sweeps (group_id, kind, spec_json, digest, state, jobs_total)
    SELECT id, 'prompt', %s, 'filled', 'paused', %s FROM made RETURNING id
"""
_FILL_CHUNKS = """
    INSERT INTO chunks (sweep_id, no, provider, kind, jobs, state)
    SELECT %(sweep)s, n, 'openai', 'prompt', 64, CASE WHEN n < %(last)s / 2 THEN 'finished' ELSE 'waiting' END
    FROM generate_series(%(first)s, %(last)s - 1) n
"""
_FILL_JOBS = """
    INSERT INTO jobs (sweep_id, chunk_no, key, input_json, state)
    SELECT %(sweep)s, n / 64, lpad(n::text, 8, '0'), '{"row":{"prompt":"a prompt that is as long as short ones are"}}',
        CASE WHEN n < %(last)s / 2 THEN 'done' ELSE 'pending' END
    FROM generate_series(%(first)s, %(last)s - 1) n
"""
_FILL_TALLIES = """
    INSERT INTO sweep_tallies (sweep_id, owner, provider, model, done, calls)
    SELECT %s, 'worker-' || n, 'openai', %s, %s, %s FROM generate_series(1, 64) n
"""


def unique(ground: Ground) -> None:
    """A call a job, from 10^3 to 10^6."""
    few: Drained | None = None
    for jobs, times in _REPEATS.items():
        one = _median_of(ground, jobs, times)
        _costs(ground, f"{jobs:,} unique calls", one)
        if jobs == _COMPARED:
            few = one
        elif few is not None:
            _flat(ground, "unique calls", one, few)


def cached(ground: Ground) -> None:
    """Jobs whose prompts have been answered: everything but the calls, at 10^4 and 10^6."""
    _tidy(ground)
    before = ground.simulator.stats()["requests"]
    few = _median(
        [drain(ground.arena, f"again-{n}", _CACHED[0], word="unique-100000-0", prompts=_PROMPTS) for n in range(3)]
    )
    many = drain(ground.arena, "again-many", _CACHED[1], word="unique-100000-0", prompts=_PROMPTS)
    calls = ground.simulator.stats()["requests"] - before
    for one in (few, many):
        _costs(ground, f"{one.jobs:,} answered jobs", one)
    ground.add("answered jobs: provider calls", calls, "calls", "0", holds=calls == 0)
    _flat(ground, "answered jobs", many, few)
    rate = many.jobs / many.submitted.wall_s
    ground.add("submitting 1,000,000: jobs a second", rate, "1/s", f">= {_SUBMIT_GOAL}", holds=rate >= _SUBMIT_GOAL)
    producer = many.submitted.rss_mb
    ground.add("submitting 1,000,000: producer's memory", producer, "MB", "<= 300", holds=producer <= _PRODUCER_MB)
    ground.add("submitting 10,000: producer's memory", few.submitted.rss_mb, "MB")
    memory(ground, many)


def memory(ground: Ground, many: Drained) -> None:
    """What the broker and the workers had while a million jobs were drained."""
    peak = many.broker_peak
    ground.add("draining 1,000,000: the broker's memory, most", peak, "MB", "<= 100", holds=peak <= _BROKER_MB)
    ground.add("draining 1,000,000: a worker's memory, first tenth", many.first_rss, "MB")
    ground.add("draining 1,000,000: a worker's memory, last tenth", many.last_rss, "MB")
    growth = many.last_rss / many.first_rss
    ground.add("a worker's memory, last tenth against first", growth, "x", "<= 1.15", holds=growth <= _RSS_GROWTH)


def full_tables(ground: Ground) -> None:
    """Working beside a sweep of 10^7 jobs that stands still."""
    early = drain(ground.arena, "before-filling", 10_000)
    jobs = asked(ground)
    _tidy(ground)
    late = _median([drain(ground.arena, f"beside-{n}", 10_000) for n in range(3)])
    _costs(ground, f"10,000 unique calls beside {jobs:,} jobs", late)
    _flat(ground, f"unique calls, tables with {jobs:,} jobs", late, early)


def asked(ground: Ground) -> int:
    """How long an answer about a sweep of 10^7 jobs takes, which is made for that; returns how many it got."""
    jobs = _fill(ground)
    engine = connect(ground.arena.database_url, role="reader", pool=1)
    try:
        took = statistics.median(_asked_ms(engine) for _ in range(_ASKED))
    finally:
        engine.dispose()
    ground.add(f"status of a sweep of {jobs:,} jobs", took, "ms", f"<= {_STATUS_MS}", holds=took <= _STATUS_MS)
    return jobs


def forecasts(ground: Ground) -> None:
    """10^7 jobs on virtual time: a million prompts, ten samples each."""
    path = ground.arena.directory / "forecast.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps({"id": f"{n:07}", "prompt": f"forecast question {n}?"}) + "\n" for n in range(_STEP))
    spec = SweepSpec(
        name="forecast",
        kind="prompt",
        source={"path": str(path)},
        targets=(Target(provider="openai", model=MODEL),),
        samples=_FILLED // _STEP,
    )
    adopt(ground.arena.environment)  # a forecast asks what the provider's settings are
    given = Given(workers=8, cores=8, rpm=100_000, latency_p50=0.8, latency_p95=2.0, error_rate=0.001, cpu_ms=0.35)
    began = time.perf_counter()
    found, _ = forecast(spec, given)
    took = time.perf_counter() - began
    ground.add(f"forecast of {found.jobs:,} jobs on virtual time: took", took, "s")
    ground.add(f"forecast: jobs that were simulated of {found.jobs:,}", found.simulated_jobs, "jobs")
    ground.add("forecast: so long with 8 workers, 100,000 requests a minute", found.duration_s.value / 3600, "h")


def _tidy(ground: Ground) -> None:
    """Does what autovacuum would do for millions of changed or new rows: the sweeps after them would pay for that."""
    engine = connect(ground.arena.database_url, role="producer", pool=1)
    try:
        with statement(engine) as cursor:
            cursor.execute("VACUUM (ANALYZE)")
    finally:
        engine.dispose()


def _median_of(ground: Ground, jobs: int, times: int) -> Drained:
    return _median([drain(ground.arena, f"unique-{jobs}-{n}", jobs) for n in range(times)])


def _median(found: list[Drained]) -> Drained:
    return sorted(found, key=lambda one: one.ours_ms)[len(found) // 2]


def _costs(ground: Ground, what: str, one: Drained) -> None:
    ground.add(f"{what}: our CPU a job", one.ours_ms, "ms")
    ground.add(f"{what}: PostgreSQL's CPU a job", one.postgres_ms, "ms")
    ground.add(f"{what}: the Redis servers' CPU a job", 1000 * one.used.redis / one.jobs, "ms")
    if one.wall_s > _LONG_ENOUGH_S:
        ground.add(f"{what}: jobs a second", one.jobs / one.wall_s, "1/s")


def _flat(ground: Ground, what: str, many: Drained, few: Drained) -> None:
    label = f"{what}: {many.jobs:,} against {few.jobs:,}" if many.jobs != few.jobs else f"{what}, against before"
    ours = many.ours_ms / few.ours_ms
    ground.add(f"{label}, our CPU a job", ours, "x", f"<= {_FLAT}", holds=ours <= _FLAT)
    server = many.postgres_ms / few.postgres_ms
    ground.add(f"{label}, PostgreSQL's CPU a job", server, "x", f"<= {_FLAT}", holds=server <= _FLAT)


def _fill(ground: Ground) -> int:
    """Inserts jobs by the million until there are 10^7, or the time is up; returns how many."""
    spec = {"name": "filled", "kind": "prompt", "targets": [{"provider": "openai", "model": MODEL}]}
    began, jobs = time.perf_counter(), 0
    engine = connect(ground.arena.database_url, role="producer", pool=1)
    try:
        with transaction(engine) as cursor:
            cursor.execute(_FILL_SWEEP, (json.dumps(spec), _FILLED))
            ((sweep,),) = cursor.fetchall()
        while jobs < _FILLED and time.perf_counter() - began < _FILL_S:
            with transaction(engine) as cursor:
                cursor.execute(_FILL_JOBS, {"sweep": sweep, "first": jobs, "last": jobs + _STEP})
                cursor.execute(_FILL_CHUNKS, {"sweep": sweep, "first": jobs // 64, "last": (jobs + _STEP) // 64})
            jobs += _STEP
        with transaction(engine) as cursor:
            cursor.execute(_FILL_TALLIES, (sweep, MODEL, jobs // 128, jobs // 128))
            cursor.execute("UPDATE sweeps SET jobs_total = %s WHERE id = %s", (jobs, sweep))
    finally:
        engine.dispose()
    if not jobs:
        raise NotMeasured("no million of jobs could be inserted")
    if jobs < _FILLED:
        ground.note(f"inserting took too long: {jobs:,} jobs, not {_FILLED:,}")
    return jobs


def _asked_ms(engine: Engine) -> float:
    began = time.perf_counter()
    status(engine, "filled")
    return 1000 * (time.perf_counter() - began)
