"""Real servers that die, forget, fill up and hang. The simulator's count is the judge."""

from scripts.bench.faults import servers
from scripts.bench.faults.stage import Stage
from tests.faults.conftest import Hold


def test_a_broker_that_forgets_everything_costs_no_call(stage: Stage, hold: Hold) -> None:
    case = hold(servers.broker_flushed(stage))

    assert case.stats["requests"] == case.jobs


def test_a_killed_cache_costs_no_call(stage: Stage, hold: Hold) -> None:
    case = hold(servers.cache_killed(stage))

    assert case.stats["requests"] == case.jobs


def test_a_restarted_database_costs_no_call(stage: Stage, hold: Hold) -> None:
    case = hold(servers.postgres_restarted(stage, restarts=1))

    assert case.stats["requests"] == case.jobs


def test_no_call_goes_out_while_the_database_is_read_only(stage: Stage, hold: Hold) -> None:
    case = hold(servers.postgres_read_only(stage))

    assert case.stats["requests"] == case.jobs
