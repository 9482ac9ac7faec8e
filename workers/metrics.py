"""Prometheus metrics of a worker process, on loopback, where ``METRICS_PORT`` is set.

Counted at two ports that everything passes, the gate and the commit: the engine knows nothing of it, a call
costs a few dictionary updates, and a number is what was committed. Labels hold names and states: no prompt, no key.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.errors import GateUnavailable, InputError
from core.model import CallRecord, Outcome
from core.ports import Admission, Ask, Gate, GateStatus, Ledger, Refused, Settlement, Ticket, Wait

log = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
_TRIES = 100  # several processes share a given port: each takes the next free one
_BREAKER = {"closed": 0, "half_open": 1, "open": 2}

Count = defaultdict[tuple[str, ...], float]


class Metrics(Collector):
    """A process's numbers. Written on the engine's loop, read by the thread that answers Prometheus."""

    def __init__(self, providers: Iterable[str], status: Callable[[str], GateStatus]) -> None:
        """``providers``: those whose metrics are on. ``status`` asks the gate, when Prometheus asks us."""
        self._providers = frozenset(providers)
        self._status = status
        self._calls: Count = defaultdict(float)
        self._seconds: Count = defaultdict(float)
        self._tokens: Count = defaultdict(float)
        self._cost: Count = defaultdict(float)
        self._jobs: Count = defaultdict(float)
        self._hits: Count = defaultdict(float)
        self._waits: Count = defaultdict(float)
        self._waited: Count = defaultdict(float)
        self._refusals: Count = defaultdict(float)
        self._in_flight: Count = defaultdict(float)

    # -- counting

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        """Calls and jobs that are rows now."""
        for outcome in outcomes:
            for call in outcome.calls:
                if call.provider in self._providers:
                    self._call(call)
            provider = outcome.lease.variant.provider
            if provider in self._providers:
                for job in outcome.jobs:
                    self._jobs[provider, outcome.lease.kind, job.state.value] += 1
                    self._hits[(provider,)] += job.cached

    def _call(self, call: CallRecord) -> None:
        self._calls[call.provider, call.model, call.status.value] += 1
        self._seconds[call.provider, call.model] += (call.latency_ms or 0.0) / 1000
        self._cost[call.provider, call.model] += call.cost_usd or 0.0
        if call.usage is not None:
            self._tokens[call.provider, call.model, "prompt"] += call.usage.prompt
            self._tokens[call.provider, call.model, "completion"] += call.usage.completion

    def admitted(self, ask: Ask, admission: Admission) -> None:
        """What the gate said."""
        provider = ask.provider
        if provider not in self._providers:
            return
        match admission:
            case Ticket(delay_s=delay_s):
                self._in_flight[(provider,)] += 1
                self._waited[(provider,)] += delay_s
                self._waits[(provider,)] += delay_s > 0
            case Wait(seconds=seconds):
                self._waited[(provider,)] += seconds
                self._waits[(provider,)] += 1
            case Refused(reason=reason):
                self._refusals[provider, reason.value] += 1

    def settled(self, ticket: Ticket) -> None:
        """A ticket ended."""
        if ticket.ask.provider in self._providers:
            self._in_flight[(ticket.ask.provider,)] -= 1

    # -- telling

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads."""
        model = ("provider", "model")
        one = ("provider",)
        yield _counter("llmsweep_calls", "Provider calls.", (*model, "status"), self._calls)
        yield _counter("llmsweep_call_seconds", "Time that calls took, summed.", model, self._seconds)
        yield _counter("llmsweep_tokens", "Tokens as the provider counted them.", (*model, "direction"), self._tokens)
        yield _counter("llmsweep_cost_usd", "USD of calls whose price is known.", model, self._cost)
        yield _counter("llmsweep_jobs", "Jobs that reached a final state.", ("provider", "kind", "state"), self._jobs)
        yield _counter("llmsweep_cache_hits", "Jobs that finished without a call of their own.", one, self._hits)
        yield _counter("llmsweep_gate_waits", "Calls that had to wait for quota.", one, self._waits)
        yield _counter("llmsweep_gate_wait_seconds", "Time that they were told to wait.", one, self._waited)
        yield _counter("llmsweep_gate_refusals", "Calls that the gate refused.", (*one, "reason"), self._refusals)
        in_flight = GaugeMetricFamily("llmsweep_in_flight", "Calls of this process with a ticket.", labels=one)
        for labels, value in list(self._in_flight.items()):
            in_flight.add_metric(labels, value)
        yield in_flight
        breaker = GaugeMetricFamily("llmsweep_breaker", "0 closed, 1 half open, 2 open; all workers.", labels=one)
        for provider in sorted(self._providers):
            try:
                breaker.add_metric((provider,), _BREAKER[self._status(provider).breaker])
            except (GateUnavailable, TimeoutError):
                log.warning("the gate does not tell its breaker", extra={"provider": provider})
        yield breaker


def _counter(name: str, text: str, labels: Sequence[str], counted: Count) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in list(counted.items()):
        family.add_metric(key, value)
    return family


class CountedGate:
    """A gate whose answers are counted. ``core.ports.Gate``."""

    def __init__(self, gate: Gate, metrics: Metrics) -> None:
        self._gate = gate
        self._metrics = metrics
        self.turn = gate.turn

    async def admit(self, ask: Ask) -> Admission:
        admission = await self._gate.admit(ask)
        self._metrics.admitted(ask, admission)
        return admission

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        self._metrics.settled(ticket)
        await self._gate.settle(ticket, settlement)


class CountedLedger:
    """A ledger whose commits are counted. ``core.ports.Ledger``."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self.jobs, self.find = ledger.jobs, ledger.find
        self.missing_calls, self.call_ids = ledger.missing_calls, ledger.call_ids

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        await self._ledger.commit(outcomes)
        self._metrics.committed(outcomes)


def serve(metrics: Metrics, port: int) -> WSGIServer:
    """Answers Prometheus on loopback: at the port, or at the next free one. Raises InputError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    for candidate in range(port, min(port + _TRIES, 65_536)) if port else (0,):
        try:
            server, _ = start_http_server(candidate, addr=_LOOPBACK, registry=registry)
        except OSError:
            continue
        log.info("metrics served", extra={"url": f"http://{_LOOPBACK}:{server.server_port}/metrics"})
        return server
    raise InputError(f"METRICS_PORT {port} and the ports after it are in use", hint="choose another METRICS_PORT")
