"""The engine with its twins around it: everything of a worker but the servers and the provider."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.admission import Entrance
from core.cache.memory import MemoryCache
from core.calling import Caller
from core.channels import Channel, Slots
from core.company import Company
from core.engine import Engine
from core.errors import ProviderError, ProviderRefused
from core.gate.memory import MemoryGate
from core.heartbeat import Heartbeat
from core.hedging import Hedges
from core.model import (
    Accepted,
    Answer,
    ChatReply,
    ChatRequest,
    ChunkRef,
    EmbeddingReply,
    EmbeddingRequest,
    Job,
    JobDraft,
    JobState,
    JsonObject,
    Message,
    Modality,
    Rejected,
    Request,
    Usage,
    Variant,
    Verdict,
)
from core.pipeline import run_chunk
from core.ports import ChunkSummary, Limits
from core.recorder import Recorder
from core.retry import RetryPolicy
from core.routing import Capabilities, Place, Rates, Router
from core.sweep import SweepSpec, Target
from db.memory import MemoryJob, MemoryLedger
from tests.virtual import VirtualClock

Script = Callable[[ChatRequest], str | ProviderError]


def echo(request: ChatRequest) -> str:
    """Answers with the last user message."""
    return f"re: {request.messages[-1].content}"


def unless(fails: Callable[[ChatRequest], bool], error: ProviderError) -> Script:
    """Echoes, but for requests that fail."""

    def answer(request: ChatRequest) -> str | ProviderError:
        return error if fails(request) else echo(request)

    return answer


@dataclass
class ScriptedProvider:
    """A provider that does what the test says, and counts what it was asked."""

    clock: VirtualClock
    script: Script = echo
    latency_s: float = 0.1
    name: str = "openai"
    asked: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    poison: str = ""  # an embedding call that holds this text is refused
    flawed: str = ""  # this text's vector is not usable

    async def chat(self, request: ChatRequest) -> ChatReply:
        self.asked.append(request.messages[-1].content)
        answer = await self._answer(lambda: self.script(request))
        return ChatReply(
            text=answer,
            model=request.model,
            usage=Usage(prompt=10, completion=5),
            finish_reason="stop",
            response={"choices": [{"message": {"content": answer}, "finish_reason": "stop"}]},
            latency_ms=self.latency_s * 1000,
        )

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:
        self.asked.append("|".join(texts))
        await self._answer(lambda: refused(400) if self.poison and self.poison in texts else "")
        vectors = np.array([[len(text), 1.0] for text in texts], dtype=np.float32)
        return EmbeddingReply(
            vectors=vectors,
            flaws={at: "no good" for at, text in enumerate(texts) if text == self.flawed},
            model=model,
            usage=Usage(prompt=len(texts)),
            response={},
            latency_ms=1.0,
        )

    async def close(self) -> None:
        return None

    async def _answer(self, make: Callable[[], str | ProviderError]) -> str:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.clock.sleep(self.latency_s)
        finally:
            self.in_flight -= 1
        answer = make()
        if isinstance(answer, ProviderError):
            raise answer
        return answer


def refused(status: int, **fields: Any) -> ProviderRefused:
    """An HTTP error of the provider."""
    return ProviderRefused(f"refused with {status}", status=status, **fields)


@dataclass(frozen=True)
class ToyKind:
    """Asks for each job's ``ask``; takes any answer that holds no "bad"."""

    name: str = "toy"
    embeds: bool = False

    def request(self, job: Job, variant: Variant, options: JsonObject) -> Request:
        text = str(job.input["ask"])
        if self.embeds:
            return EmbeddingRequest(provider=variant.provider, model=variant.model, text=text)
        message = Message(role="user", content=text)
        return ChatRequest(provider=variant.provider, model=variant.model, messages=(message,), sample=variant.sample)

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:
        if "bad" in answer.text:
            return Rejected(reason="the answer is bad")
        return Accepted(result={"text": answer.text})

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:
        return None if self.embeds else {"text": "by rule"}


@dataclass(frozen=True)
class FlatMeter:
    """Ten prompt tokens, at most ten more, a cent a call."""

    def prompt_tokens(self, request: Request, *, exact: bool = True) -> int:
        return 10

    def worst_case(self, request: Request, prompt_tokens: int) -> tuple[int, float | None]:
        return prompt_tokens + 10, 0.02

    def cost(self, provider: str, model: str, usage: Usage) -> float | None:
        return 0.01


@dataclass
class World:
    """One sweep's worth of a worker on virtual time."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    kind: ToyKind = field(default_factory=ToyKind)
    limits: Limits = field(default_factory=lambda: Limits(in_flight=1000))
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    shares: bool = True  # CACHE_ENABLED
    slots: int = 1000

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(lease_s=10, clock=self.clock)
        self.cache = MemoryCache(self.clock)
        self.gate = MemoryGate(lambda _: self.limits, self.clock, spent=self._spent)
        self.provider = ScriptedProvider(self.clock)
        self.others: dict[str, ScriptedProvider] = {}
        self.rates: Rates = {}
        self.contexts: dict[str, int] = {}
        self.sweeps = 0

    def submit(self, *asks: str, **fields: Any) -> int:
        """A running sweep with a job for each ask; returns its id."""
        self.sweeps += 1
        spec = SweepSpec(
            name=f"sweep-{self.sweeps}",
            kind=self.kind.name,
            targets=(Target(provider="openai", model="toy-1"),),
            **fields,
        )
        drafts: Iterator[JobDraft] = (JobDraft(key=f"job {i}", input={"ask": ask}) for i, ask in enumerate(asks))
        return self.ledger.add_sweep(spec, drafts)

    @asynccontextmanager
    async def engine(self, owner: str = "worker-1") -> AsyncIterator[Engine]:
        """A worker's engine, with its background tasks."""
        recorder = Recorder(self.ledger, self.clock)
        heartbeat = Heartbeat(self.ledger, self.cache, self.clock, lease_s=self.ledger.lease_s)

        @functools.cache
        def channel(name: str) -> Channel:
            provider = self.others.get(name, self.provider)
            slots = Slots(self.slots)
            return Channel(
                provider=provider, policy=self.policy, slots=slots, cache_ttl_s=3600, scope="", shares=self.shares
            )

        entrance = Entrance(
            gate=self.gate,
            ledger=self.ledger,
            recorder=recorder,
            meter=FlatMeter(),
            channels=channel,
            clock=self.clock,
            owner=owner,
        )
        caller = Caller(
            entrance=entrance,
            cache=self.cache,
            recorder=recorder,
            meter=FlatMeter(),
            channels=channel,
            clock=self.clock,
        )
        tasks = [asyncio.create_task(recorder.run()), asyncio.create_task(heartbeat.run())]
        try:
            yield Engine(
                leases=self.ledger,
                ledger=self.ledger,
                cache=self.cache,
                caller=caller,
                recorder=recorder,
                heartbeat=heartbeat,
                meter=FlatMeter(),
                kinds=lambda _: self.kind,
                clock=self.clock,
                owner=owner,
                company=Company(),
                router=Router(capabilities=self.capabilities, rates=self._rates, clock=self.clock),
                hedges=Hedges(),
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self, sweep_id: int, no: int = 0) -> ChunkSummary | None:
        """Runs one chunk of a sweep on a fresh engine."""
        async with self.engine() as engine:
            return await run_chunk(engine, ChunkRef(sweep_id=sweep_id, no=no))

    def states(self, sweep_id: int) -> list[JobState]:
        """The states of a sweep's jobs, in order."""
        return [row.result.state for row in self.rows(sweep_id)]

    def rows(self, sweep_id: int) -> list[MemoryJob]:
        """The stored jobs of a sweep, in order."""
        refs = [ref for ref in self.ledger.chunks if ref.sweep_id == sweep_id]
        ids = [job_id for ref in sorted(refs, key=lambda ref: ref.no) for job_id in self.ledger.chunks[ref].jobs]
        return [self.ledger.rows[job_id] for job_id in ids]

    def capabilities(self, place: Place) -> Capabilities:
        """Everybody can do everything, but for what the test has set."""
        able = Capabilities(place=place, modalities=frozenset(Modality))
        return replace(able, context_tokens=self.contexts.get(place.provider))

    async def _rates(self) -> Rates:
        return self.rates

    async def _spent(self, sweep_id: int) -> float:
        return self.ledger.total(sweep_id).cost_max_nano / 1e9
