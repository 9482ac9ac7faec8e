"""`sweep submit --simulate`: the engine on virtual time takes as long as arithmetic says, from what is known."""

import asyncio
import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import InputError
from core.model import JobDraft, Modality
from core.ports import Limits
from core.settings import RULES
from core.sweep import SweepSpec
from core.sweep import Target as Asked
from db.history import PastCall
from db.specs import plan
from scripts.forecast import looping
from scripts.forecast.assume import Given, read
from scripts.forecast.backends import SWEEP_ID
from scripts.forecast.estimate import estimate, rate, span
from scripts.forecast.jobs import sample, thinned
from scripts.forecast.manners import ENOUGH, Target, manner
from scripts.forecast.recent import recent
from scripts.forecast.scale import simulate
from scripts.forecast.stage import Run, Work, play
from scripts.forecast.tail import Tail, straight
from scripts.forecast.values import Failure, Machinery, Manner, Reply, Situation, Worker
from tests.world import FlatMeter, ToyKind

TARGET = Target(provider="openai", model="toy-1", modality=Modality.CHAT)
NOTHING_TAKES_TIME = Machinery(cpu_s=0.0, gate_s=0.0, cache_s=0.0, ledger_s=0.0, pickup_s=0.0)


def situation(**changes: Any) -> Situation:
    plain: dict[str, Any] = {
        "workers": (Worker(slots=8, providers=frozenset({RULES})),),
        "cores": 2,
        "limits": {RULES: Limits(rpm=6_000_000)},  # without any the gate feels its way up
        "concurrency": {RULES: 10_000},
        "manners": {(RULES, "toy-1"): Manner(replies=(Reply(latency_s=1.0, completion=5),))},
        "machinery": NOTHING_TAKES_TIME,
    }
    return Situation(**{**plain, **changes})


def answers(*replies: Reply, **changes: Any) -> dict[tuple[str, str], Manner]:
    return {(RULES, "toy-1"): Manner(replies=replies or (Reply(latency_s=1.0, completion=5),), **changes)}


def work(jobs: int, *, known: bool = False, **fields: Any) -> Work:
    given: dict[str, Any] = {"on_open": "wait", "chunk_size": 64, **fields}
    spec = SweepSpec(name="toy", kind="toy", targets=(Asked(provider=RULES, model="toy-1"),), **given)

    def block(number: int) -> Sequence[JobDraft]:
        first = number * spec.chunk_size
        return [JobDraft(key=str(n), input={"ask": f"job {n}"}) for n in range(first, min(jobs, first + 64))]

    return Work(
        plan=plan(spec, sweep_id=SWEEP_ID, group_id=SWEEP_ID, jobs_total=jobs),
        kind=ToyKind(),
        meter=FlatMeter(),
        waves=(range(-(-jobs // spec.chunk_size)),),
        block=block,
        known=lambda prints, _: dict.fromkeys(prints if known else (), ""),
        budget_usd=spec.budget_usd,
    )


def past(count: int, **changes: Any) -> list[PastCall]:
    plain: dict[str, Any] = {"success": True, "latency_ms": 300.0, "prompt": 10, "completion": 20}
    made = datetime.now(UTC) - timedelta(hours=1)
    return [PastCall(**{**plain, "id": n, "created_at": made, **changes}) for n in range(count)]


def sent(latencies: Iterable[float], *, failing: float = 0.0, ago_s: float = 0.0) -> list[PastCall]:
    """Calls of so many seconds each, sent one after the other; a share of them failed."""
    rng, now, ordered = random.Random(1), datetime.now(UTC) - timedelta(seconds=ago_s), list(latencies)
    return [
        PastCall(
            id=n,
            success=rng.random() >= failing,
            status=503,
            latency_ms=1000 * latency,
            created_at=now + timedelta(seconds=0.02 * (n - len(ordered)) + latency),
        )
        for n, latency in enumerate(ordered)
    ]


def lognormal(count: int, *, median: float = 0.5, sigma: float = 0.5, seed: int = 2) -> list[float]:
    rng = random.Random(seed)
    return [median * rng.lognormvariate(0, sigma) for _ in range(count)]


def test_a_sweep_under_a_request_limit_takes_its_jobs_at_that_rate() -> None:
    run = play(work(600), situation(limits={RULES: Limits(rpm=3000)}), seed=1)
    assert run.count.calls == 600
    assert run.duration_s == pytest.approx(600 / 50 + 1, rel=0.05)


def test_a_sweep_that_is_bound_by_places_takes_turns_on_them() -> None:
    run = play(work(512), situation(concurrency={RULES: 16}), seed=1)
    assert run.duration_s == pytest.approx(512 / 16, rel=0.02)
    assert run.in_flight_s == pytest.approx(512)


def test_a_second_worker_halves_what_places_bind() -> None:
    two = situation(concurrency={RULES: 16}, workers=(Worker(slots=8, providers=frozenset({RULES})),) * 2)
    assert play(work(1024), two, seed=1).duration_s == pytest.approx(1024 / 32, rel=0.05)


def test_the_core_of_a_worker_is_one_queue_for_all_its_calls() -> None:
    slow = replace(NOTHING_TAKES_TIME, cpu_s=0.05)
    run = play(work(200), situation(machinery=slow), seed=1)
    assert run.busy_s == pytest.approx(10.0)
    assert 10.0 <= run.duration_s <= 12.0


def test_failed_calls_are_tried_again_as_the_policy_says() -> None:
    failing = answers(failures=(Failure(latency_s=0.1),), error_rate=0.05)
    run = play(work(640), situation(limits={RULES: Limits(rpm=6000)}, manners=failing), seed=3)
    assert run.count.ended == 640
    assert 10 <= run.count.failed_calls <= 60
    assert run.count.calls == run.count.done + run.count.failed_calls


def test_a_refused_answer_costs_a_repair_turn() -> None:
    bad = answers(Reply(latency_s=1.0, completion=5, rejected=True))
    run = play(work(10), situation(manners=bad), seed=1)
    assert (run.count.calls, run.count.failed) == (20, 10)


def test_what_was_answered_before_is_not_called() -> None:
    run = play(work(100, known=True), situation(), seed=1)
    assert (run.count.calls, run.count.cached, run.count.done) == (0, 100, 100)


def test_a_budget_ends_the_sweep_where_it_would_end_it() -> None:
    run = play(work(200, budget_usd=0.5), situation(), seed=1)
    assert run.stopped
    assert run.count.cost_usd is not None
    assert 0.45 <= run.count.cost_usd <= 0.5


def test_the_same_seed_is_the_same_run() -> None:
    varied = answers(*(Reply(latency_s=n / 50, completion=n) for n in range(1, 100)), measured=True)
    failing = {key: replace(each, failures=(Failure(latency_s=0.1),), error_rate=0.1) for key, each in varied.items()}
    runs = [play(work(300), situation(manners=failing, concurrency={RULES: 20}), seed=5) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.slow
@pytest.mark.parametrize("limits", [{"limits": {RULES: Limits(rpm=6000)}}, {"concurrency": {RULES: 64}}])
def test_a_sweep_that_is_simulated_in_part_takes_as_long_as_the_whole(limits: dict[str, Any]) -> None:
    spread = answers(*(Reply(latency_s=0.2 + n / 1000, completion=5) for n in range(400)))
    around = situation(manners=spread, **limits)
    whole = play(work(12_000), around, seed=1, even=True).duration_s
    found = estimate(12_000, work, around, variants=1, runs=2)
    assert found.simulated < 12_000 / 2
    assert span([*found.durations()] * 3).value == pytest.approx(whole, rel=0.01)


@pytest.mark.slow
def test_a_simulated_job_costs_the_same_whatever_their_number() -> None:
    few, many = simulate(4_000, runs=1), simulate(10_000_000, runs=1)
    assert many.cpu_us_a_job < 4 * few.cpu_us_a_job  # 2,500 times, were it in proportion
    assert many.duration_s == pytest.approx(10_000_000 / 500, rel=0.03)


def test_the_rate_is_that_of_the_middle() -> None:
    curve = [(10.0 + n, n) for n in range(1, 101)]
    run = Run(duration_s=500.0, count=_count(), curve=curve, stopped="", in_flight_s=0.0, busy_s=0.0)
    assert rate(run) == pytest.approx(1.0)


def test_the_interval_holds_the_value_and_grows_with_the_spread() -> None:
    narrow, wide = span([9.0, 10.0, 11.0, 10.0, 10.0]), span([5.0, 10.0, 15.0, 10.0, 10.0])
    assert narrow.low < narrow.value < narrow.high
    assert wide.high - wide.low > narrow.high - narrow.low


def test_a_few_long_runs_make_no_run_short() -> None:
    found = span([34.7, 34.9, 35.1, 35.3, 35.6, 36.2, 98.9, 100.3])
    assert 30 <= found.low <= found.value <= 40
    assert found.high >= 98


def test_history_is_believed_when_there_is_enough_of_it() -> None:
    believed, _ = manner(TARGET, past(ENOUGH), 1.25, Given())
    doubted, _ = manner(TARGET, past(ENOUGH - 1), 1.25, Given())
    assert (believed.measured, believed.prompt_ratio) == (True, 1.25)
    assert {reply.latency_s for reply in believed.replies} == {0.3}
    assert not doubted.measured


def test_failures_of_the_past_are_its_error_rate_but_for_what_the_gate_prevents() -> None:
    calls = [*past(45), *past(10, success=False, status=503), *past(45), *past(50, success=False, status=429)]
    found, _ = manner(TARGET, calls, 1.0, Given())
    assert found.error_rate == pytest.approx(0.1)
    assert {failure.status for failure in found.failures} == {503}


def test_calls_of_one_manner_are_all_believed() -> None:
    for failing in (0.0, 0.05):
        assert len(recent(sent(lognormal(1000), failing=failing))) == 1000


def test_calls_from_before_a_change_are_not_believed() -> None:
    slower = sent([*lognormal(1500, median=0.2), *lognormal(300)])
    well_again = sent(lognormal(900), failing=0.5, ago_s=60) + sent(lognormal(300))
    assert 280 <= len(recent(slower)) <= 320
    assert 280 <= len(recent(well_again)) <= 320


def test_a_change_back_and_forth_leaves_the_last_part() -> None:
    parts = sent([*lognormal(600), *lognormal(600, median=1), *lognormal(300)])
    assert 280 <= len(recent(parts)) <= 320


def test_an_outage_that_lasts_does_not_leave_a_provider_without_answers() -> None:
    down = [replace(call, success=False) for call in sent(lognormal(100))]
    believed, _ = manner(TARGET, [*sent(lognormal(500), ago_s=60), *down], 1.0, Given())
    assert len(believed.replies) >= ENOUGH
    assert believed.error_rate > 0.1


def test_a_sweep_of_more_calls_than_history_has_meets_slower_ones() -> None:
    samples = [sorted(lognormal(400, seed=seed)) for seed in range(20)]
    tails = [Tail.of(each, share) for each in samples if (share := straight(each)) is not None]
    assert len(tails) >= 15
    for share, quantile in ((1 - 1 / 8000, 3.66), (0.85, 1.04)):
        foretold = statistics.median(tail.at(share) for tail in tails)
        assert foretold == pytest.approx(0.5 * math.exp(0.5 * quantile), rel=0.1)


@pytest.mark.parametrize(
    "latencies", [[0.5] * 500, [0.2] * 490 + [4.0] * 10, [0.0] * 500, [n / 100 for n in range(1, 500)], [1.0, 2.0]]
)
def test_latencies_without_such_a_tail_are_drawn_as_they_were(latencies: list[float]) -> None:
    assert straight(latencies) is None


def test_a_breaker_that_opened_is_told() -> None:
    failing = answers(failures=(Failure(latency_s=0.1),), error_rate=0.3)
    run = play(work(200), situation(limits={RULES: Limits(rpm=6000)}, manners=failing), seed=1)
    assert run.broken
    assert run.duration_s > 60


def test_what_is_given_goes_before_history_and_says_so() -> None:
    given = read(["latency_p50=0.6", "error_rate=0.2", "completion_tokens=40", "reject-rate=0.5"])
    found, told = manner(TARGET, past(100), 1.0, given)
    assert {reply.latency_s for reply in found.replies} == {0.6}
    assert {reply.completion for reply in found.replies} == {40}
    assert sum(reply.rejected for reply in found.replies) == 50
    assert (found.error_rate, found.tries) == (0.2, 0)
    sources = {each.name.split()[-1]: each.source for each in told}
    assert sources["latency_p50"] == sources["error_rate"] == "given"
    assert "calls" in sources["prompt_ratio"]


def test_a_median_and_a_95th_percentile_are_a_distribution() -> None:
    found, _ = manner(TARGET, [], 1.0, read(["latency_p50=1", "latency_p95=3"]))
    latencies = sorted(reply.latency_s for reply in found.replies)
    assert latencies[len(latencies) // 2] == pytest.approx(1.0, rel=0.02)
    assert latencies[int(0.95 * len(latencies))] == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(
    "words",
    [
        ["latency"],
        ["colour=3"],
        ["rpm=many"],
        ["rpm=0"],
        ["error_rate=2"],
        ["latency_p50=-1"],
        ["latency_p50=nan"],
        ["rpm=5", "rpm=6"],
        ["latency_p50=2", "latency_p95=1"],
    ],
)
def test_a_figure_that_cannot_be_is_refused(words: list[str]) -> None:
    with pytest.raises(InputError):
        read(words)


@pytest.mark.parametrize("count", [0, 1, 10, 99, 1000, 12_345])
def test_a_sample_is_spread_over_the_whole_input_in_its_order(count: int) -> None:
    found = sample((JobDraft(key=str(n), input={}) for n in range(count)), 10)
    keys = [int(draft.key) for draft in found.drafts]
    assert found.count == count
    assert keys == sorted(set(keys))
    assert len(keys) == min(10, count)
    assert not keys or max(keys) >= 0.7 * (count - 1)
    assert len(thinned(found.drafts, 5)) == min(5, count)


def test_who_waits_for_what_never_comes_is_told_so() -> None:
    async def forlorn() -> None:
        await asyncio.Event().wait()

    with pytest.raises(looping.Stuck):
        looping.run(forlorn())


def _count() -> Any:
    from scripts.forecast.backends import Count

    return Count()
