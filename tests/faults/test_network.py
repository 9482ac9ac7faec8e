"""A network that is slow, resets and forgets. The simulator's count is the judge."""

from scripts.bench.faults import network
from scripts.bench.faults.stage import Stage
from tests.faults.conftest import Hold


def test_answers_that_the_network_broke_off_are_asked_for_again_and_nothing_else(stage: Stage, hold: Hold) -> None:
    case = hold(network.provider_link(stage))

    assert case.stats["unique"] == case.jobs
