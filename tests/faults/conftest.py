"""The quick half of `make faults`: the same plays at a third of the size, on one cluster for all tests of a process."""

from collections.abc import Callable, Iterator

import pytest

from scripts.bench.arena import Stalled, arena, wait_for
from scripts.bench.faults import judge
from scripts.bench.faults.judge import Case
from scripts.bench.faults.stage import Stage

_SETTINGS = {"OPENAI_MAX_CONCURRENT_REQUESTS": "16", "CHUNK_LEASE_S": "3"}

Hold = Callable[[Case], Case]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Stage]:
    """Servers, a simulator and two workers."""
    with arena(**_SETTINGS) as made:
        simulator = made.simulator(latency="lognormal:0.3,0.4")
        stage = Stage(arena=made, simulator=simulator, slots=2, staff_size=2, scale=0.3)
        yield stage
        stage.close()


@pytest.fixture
def stage(cluster: Stage) -> Iterator[Stage]:
    """The cluster, cleared of what a failed test has left."""
    yield cluster
    cluster.clear_faults()


@pytest.fixture
def hold(cluster: Stage) -> Hold:
    """Waits until nothing is in flight any more, and asks of a case all that `make faults` asks."""

    def judged(case: Case) -> Case:
        try:
            wait_for("no call in flight", lambda: not cluster.intents(), timeout_s=30)
        except Stalled:
            pytest.fail(f"intents left behind: {cluster.intents()}")
        # How long something may take is for `make faults` to say: what else runs beside a test, nobody knows.
        broken = [row for row in judge.rows(case, cluster.engine, 0) if row.holds is False and row.unit != "s"]
        assert not broken
        return case

    return judged
