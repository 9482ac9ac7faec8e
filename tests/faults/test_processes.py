"""Real workers that die, stop and are stopped. The simulator's count is the judge."""

import pytest

from scripts.bench.faults import processes
from scripts.bench.faults.stage import Stage
from tests.faults.conftest import Hold


def test_killed_workers_lose_no_job_and_pay_twice_at_most_what_was_in_flight(stage: Stage, hold: Hold) -> None:
    case = hold(processes.worker_killed(stage, kills=2))

    assert case.stats["unique"] == case.jobs
    assert case.stats["duplicates"] <= case.bound


def test_a_worker_that_is_told_to_stop_pays_nothing_twice(stage: Stage, hold: Hold) -> None:
    case = hold(processes.worker_terminated(stage))

    assert case.stats["unique"] == case.stats["requests"] == case.jobs


def test_a_frozen_feeder_is_deposed_and_fenced(stage: Stage, hold: Hold) -> None:
    stage.arena.stop_workers()

    hold(processes.worker_frozen(stage, seconds=7))


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_feeder_that_was_frozen_for_a_minute_is_fenced(stage: Stage, hold: Hold) -> None:
    stage.arena.stop_workers()

    hold(processes.worker_frozen(stage))


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_worker_told_to_stop_while_the_database_is_away_leaves_and_loses_nothing(stage: Stage, hold: Hold) -> None:
    case = hold(processes.worker_terminated_away(stage))

    assert case.stats["requests"] == case.jobs


def test_a_worker_that_finds_no_database_asks_to_be_started_again(stage: Stage, unused_tcp_port: int) -> None:
    away = f"postgresql://nobody:none@127.0.0.1:{unused_tcp_port}/llmsweep"

    worker = stage.arena.worker(DATABASE_URL=away)

    assert worker.wait(60) == 1  # 2 would make the fleet give up: settings don't mend themselves
