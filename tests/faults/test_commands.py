"""Producers and commands at bad moments, with real processes. The simulator's count is the judge."""

from scripts.bench.faults import answers, commands
from scripts.bench.faults.stage import Stage
from tests.faults.conftest import Hold


def test_a_producer_killed_in_the_middle_leaves_nothing_and_the_next_one_works(stage: Stage, hold: Hold) -> None:
    case = hold(commands.producer_killed(stage))

    assert case.stats["requests"] == case.jobs


def test_messages_delivered_three_times_are_worked_on_once(stage: Stage, hold: Hold) -> None:
    case = hold(commands.delivered_twice(stage))

    assert case.stats["requests"] == case.jobs


def test_soon_after_cancel_nothing_new_is_sent(stage: Stage, hold: Hold) -> None:
    case = hold(commands.cancelled(stage, within_s=3))

    assert case.stats["duplicates"] == 0


def test_an_empty_account_parks_the_sweep_until_somebody_resumes_it(stage: Stage, hold: Hold) -> None:
    case = hold(answers.no_money(stage))

    assert case.stats["unique"] == case.jobs


def test_a_filtered_job_fails_alone_with_one_request(stage: Stage, hold: Hold) -> None:
    case = hold(answers.content_filter(stage))

    assert case.stats["requests"] == case.jobs
