"""Two simulated providers behind real servers and a worker: races, hedges and ways out, as the rows tell them."""

from collections.abc import Iterator

import pytest

from core.sweep import Target
from db.engine import connect
from db.rates import success_rates
from scripts.bench.arena import MODEL, Arena, Simulator, arena

pytestmark = pytest.mark.slow

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"  # its price at the other provider is known
OTHER = Target(provider="hyperbolic", model=LLAMA)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Arena, Simulator, Simulator]]:
    with arena(OPENAI_MAX_RETRY_ATTEMPTS="1") as made:
        own, other = made.simulator(), made.simulator("hyperbolic")
        made.worker()
        yield made, own, other


def test_two_providers_race_for_each_job_and_every_request_that_they_saw_is_a_row(
    world: tuple[Arena, Simulator, Simulator],
) -> None:
    made, own, other = world
    for simulator in (own, other):
        simulator.tell("reset")
    own.tell("faults", {"fail": ["hang:0.5"]})
    made.submit("race", 64, parallel_attempts=2, reroute=(OTHER,), on_open="reroute")

    ended = made.ended("race", timeout_s=60)

    assert (ended.done, ended.failed) == (64, 0)
    seen = own.stats()["requests"] + other.stats()["requests"]
    assert seen <= ended.calls <= seen + ended.calls_unknown  # one may be cut off before its provider has read it
    assert ended.calls_unknown > 0
    assert ended.cost_usd is not None
    assert ended.cost_usd_max is not None
    assert 0 < ended.cost_usd < ended.cost_usd_max
    own.tell("faults", {"fail": []})


def test_jobs_that_one_provider_refuses_are_answered_by_the_other_and_the_rates_tell_it(
    world: tuple[Arena, Simulator, Simulator],
) -> None:
    made, own, _ = world
    own.tell("faults", {"fail": ["400"]})
    made.submit("refused", 20, reroute=(OTHER,), on_open="reroute")

    ended = made.ended("refused", timeout_s=60)

    assert (ended.done, ended.failed) == (20, 0)
    engine = connect(made.database_url, role="reader", pool=1)
    try:
        rates = success_rates(engine)
    finally:
        engine.dispose()
    assert rates["hyperbolic", LLAMA, "prompt"].expected > rates["openai", MODEL, "prompt"].expected
    own.tell("faults", {"fail": []})
