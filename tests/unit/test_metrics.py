"""What a worker tells Prometheus: what was committed and admitted, of the providers whose metrics are on."""

import time

from prometheus_client import CollectorRegistry, generate_latest

from core.model import CallStatus, ChunkRef, JobResult, JobState, Lease, Modality, Outcome, Variant
from core.ports import Ask, GateStatus, Refusal, Refused, Ticket, Wait
from tests.records import call
from workers.metrics import Metrics


def a_lease(provider: str) -> Lease:
    return Lease(
        ref=ChunkRef(sweep_id=1, no=0),
        owner="w",
        fence=1,
        kind="prompt",
        sweep_name="planted-name",
        group_id=1,
        variant=Variant(provider=provider, model="gpt-4o"),
    )


def an_outcome(provider: str = "openai", status: CallStatus = CallStatus.SUCCESS) -> Outcome:
    made = call(
        1,
        provider=provider,
        model="gpt-4o",
        status=status,
        request={"messages": "planted prompt"},
        latency_ms=250.0,
        cost_usd=0.5,
    )
    job = JobResult(job_id=1, state=JobState.DONE, cached=True)
    return Outcome(lease=a_lease(provider), calls=(made,), jobs=(job,))


def an_ask(provider: str = "openai") -> Ask:
    return Ask(
        call_id=1,
        provider=provider,
        model="gpt-4o",
        sweep_id=1,
        owner="w",
        fingerprint="print",
        modality=Modality.CHAT,
        tokens=10,
    )


def metrics(breaker: str = "closed") -> Metrics:
    return Metrics(["openai"], lambda _: GateStatus(breaker=breaker))


def told(of: Metrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(of)
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_commits_are_counted_by_provider_model_and_state_and_hold_no_content() -> None:
    counted = metrics()
    counted.committed([an_outcome(), an_outcome(status=CallStatus.FAILED)])
    found = told(counted)
    assert found['llmsweep_calls_total{model="gpt-4o",provider="openai",status="success"}'] == 1
    assert found['llmsweep_calls_total{model="gpt-4o",provider="openai",status="failed"}'] == 1
    assert found['llmsweep_tokens_total{direction="prompt",model="gpt-4o",provider="openai"}'] == 20
    assert found['llmsweep_cost_usd_total{model="gpt-4o",provider="openai"}'] == 1.0
    assert found['llmsweep_call_seconds_total{model="gpt-4o",provider="openai"}'] == 0.5
    assert found['llmsweep_jobs_total{kind="prompt",provider="openai",state="done"}'] == 2
    assert found['llmsweep_cache_hits_total{provider="openai"}'] == 2
    assert "planted" not in str(found)


def test_the_gates_answers_are_counted_and_the_breaker_is_asked() -> None:
    counted = metrics(breaker="open")
    ticket = Ticket(ask=an_ask(), delay_s=0.5, slot=0, tokens=10, epoch=0)
    for admission in (ticket, ticket, Wait(seconds=2.0), Refused(reason=Refusal.BUDGET)):
        counted.admitted(an_ask(), admission)
    counted.settled(ticket)
    found = told(counted)
    assert found['llmsweep_in_flight{provider="openai"}'] == 1
    assert found['llmsweep_gate_waits_total{provider="openai"}'] == 3
    assert found['llmsweep_gate_wait_seconds_total{provider="openai"}'] == 3.0
    assert found['llmsweep_gate_refusals_total{provider="openai",reason="budget"}'] == 1
    assert found['llmsweep_breaker{provider="openai"}'] == 2


def test_a_provider_whose_metrics_are_off_is_not_told_of() -> None:
    counted = metrics()
    counted.committed([an_outcome("azure")])
    counted.admitted(an_ask("azure"), Wait(seconds=1.0))
    assert not [name for name in told(counted) if "azure" in name]


def test_counting_costs_microseconds_a_call() -> None:
    counted = metrics()
    outcomes = [an_outcome() for _ in range(1000)]
    ticket = Ticket(ask=an_ask(), delay_s=0.0, slot=0, tokens=10, epoch=0)
    costs = []
    for _ in range(5):
        began = time.process_time()
        counted.committed(outcomes)
        for _ in outcomes:
            counted.admitted(ticket.ask, ticket)
            counted.settled(ticket)
        costs.append((time.process_time() - began) / len(outcomes))
    assert min(costs) < 10e-6
