"""What is read back of a sweep agrees with its rows."""

import numpy as np
import sqlalchemy

from core.model import (
    JobResult,
    JobState,
    Outcome,
    Usage,
    VectorRecord,
)
from db.commit import commit
from db.progress import status, sweeps
from db.results import rows
from db.submission import submit
from tests.records import call
from tests.sweeps import TWO, Worker, count, drafts, spec


def test_status_agrees_with_the_rows(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(targets=TWO, budget_usd=9), drafts(8)).sweep_id
    states = [JobState.DONE, JobState.FAILED, JobState.FALLBACK, JobState.DONE]
    Worker(engine, "w1").work(sweep_id, 0, lambda n: states[n])
    Worker(engine, "w2").work(sweep_id, 1, lambda n: states[n])
    now = status(engine, "first")
    assert (now.jobs, now.pending, now.done, now.failed, now.fallback) == (16, 8, 4, 2, 2)
    assert (now.calls, now.tokens.prompt, now.tokens.completion) == (6, 60, 30)
    assert (now.cost_usd, now.cost_usd_max, now.budget_usd) == (0.006, 0.006, 9)
    assert {name: part.calls for name, part in now.providers.items()} == {"azure": 3, "openai": 3}
    assert now.rate_per_s > 0
    assert now.eta_s is not None
    assert [found.name for found in sweeps(engine)] == ["first"]
    assert count(engine, "jobs", "state = 'done'") == now.done
    assert count(engine, "raw_calls") == now.calls


def test_an_unknown_price_is_never_zero(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(1)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    made = call(1, cost_usd=None, cost_max_usd=None)
    job = JobResult(job_id=worker.pending(lease)[0], state=JobState.DONE, call_id=1, result={}, attempts=1)
    commit(engine, [Outcome(lease=lease, calls=(made,), jobs=(job,))])
    now = status(engine, "first")
    assert (now.cost_usd, now.cost_usd_max, now.cost_unknown) == (None, None, 1)
    assert next(rows(engine, "first")).cost_usd is None


def test_results_tell_who_answered_and_share_a_calls_cost(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(4)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    first, second, third, last = worker.pending(lease)
    made = call(7, provider="azure", model="large", usage=Usage(prompt=10, completion=1), cost_usd=0.000_000_010)
    shared = [
        JobResult(job_id=i, state=JobState.DONE, call_id=7, result={}, attempts=1) for i in (first, second, third)
    ]
    copied = JobResult(job_id=last, state=JobState.DONE, call_id=7, result={}, cached=True)
    commit(engine, [Outcome(lease=lease, calls=(made,), jobs=(*shared, copied))])
    found = list(rows(engine, "first"))
    assert [row.tokens.prompt for row in found] == [4, 3, 3, 0]
    assert [row.cost_usd for row in found] == [4e-9, 3e-9, 3e-9, 0]
    assert {(row.provider, row.model) for row in found} == {("azure", "large")}
    assert [row.cached for row in found] == [False, False, False, True]


def test_vectors_come_only_when_asked_for(engine: sqlalchemy.Engine) -> None:
    sweep_id = submit(engine, spec(), drafts(1)).sweep_id
    worker = Worker(engine)
    lease = worker.take(sweep_id, 0)
    vector = np.arange(5, dtype=np.float32)
    kept = VectorRecord(call_id=1, position=0, fingerprint="f" * 64, model="small", vector=vector)
    job = JobResult(job_id=worker.pending(lease)[0], state=JobState.DONE, fingerprint="f" * 64, call_id=1, result={})
    commit(engine, [Outcome(lease=lease, calls=(call(1),), jobs=(job,), vectors=(kept,))])
    assert next(rows(engine, "first")).vector is None
    found = next(rows(engine, "first", vectors=True)).vector
    assert found is not None
    assert np.array_equal(found, vector)


def test_results_of_a_large_sweep_come_in_input_order_page_by_page(engine: sqlalchemy.Engine) -> None:
    submit(engine, spec(targets=TWO, chunk_size=64), drafts(3001))
    submit(engine, spec("second", chunk_size=64), drafts(3))
    keys = [row.key.partition(" ")[0] for row in rows(engine, "first")]
    assert keys == [f"k{n}" for n in range(3001) for _ in range(2)]
