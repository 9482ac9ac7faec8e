"""The provider as it is modelled: answers that take as long, cost as much and fail as often as it is known to."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.errors import ProviderError, ProviderRefused, ProviderUnreachable
from core.model import ChatReply, ChatRequest, EmbeddingReply, EmbeddingRequest, Request, Usage
from core.ports import Clock
from scripts.forecast.tail import Tail, straight
from scripts.forecast.values import Failure, Manner, Reply

REFUSED = " bad"
"""What an answer that its kind will not take consists of: a token each."""

_STRATA = 64

Tokens = Callable[[Request], int]


class Draws:
    """A bootstrap of a manner: each run has its own, so that what few samples leave open shows in the interval.

    ``even``: the samples come in shuffled strata, so that long runs differ by what is unknown and not by luck.
    """

    def __init__(self, manner: Manner, rng: random.Random, *, even: bool) -> None:
        self._rng = rng
        self.prompt_ratio = manner.prompt_ratio
        self._failures = manner.failures
        self.error_rate = manner.error_rate
        replies = manner.replies
        if manner.measured:
            replies = tuple(rng.choices(replies, k=len(replies)))
        if manner.tries and manner.error_rate:
            failed = manner.error_rate * manner.tries
            self.error_rate = rng.betavariate(failed + 0.5, manner.tries - failed + 0.5)
        self._replies = sorted(replies, key=lambda reply: reply.latency_s)
        # What lies on a line is told by the samples themselves: resampled ones repeat each other.
        share = straight(sorted(reply.latency_s for reply in manner.replies))
        self._tail = None if share is None else Tail.of([reply.latency_s for reply in self._replies], share)
        self._even = even
        self._deck: list[float] = []

    def next(self) -> Reply | Failure:
        if self._failures and self._rng.random() < self.error_rate:
            return self._rng.choice(self._failures)
        share = self._share()
        reply = self._replies[int(share * len(self._replies))]
        if self._tail is None or share < self._tail.begins:
            return reply
        return replace(reply, latency_s=self._tail.at(share))

    def _share(self) -> float:
        if not self._even:
            return self._rng.random()
        if not self._deck:
            self._deck = [(stratum + self._rng.random()) / _STRATA for stratum in range(_STRATA)]
            self._rng.shuffle(self._deck)
        return self._deck.pop()


class Core:
    """A worker's event loop: one thing after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at = 0.0
        self.busy_s = 0.0

    def delay(self, seconds: float) -> float:
        """Queues so much work; returns when it will be done, in seconds from now."""
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + seconds
        self.busy_s += seconds
        return self._free_at - now


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run's calls came to."""

    in_flight_s: float = 0.0
    sent: int = 0
    turned_away: int = 0  # asks while the breaker was open


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelledProvider:
    """``core.ports.Provider``. ``cpu_s`` is what a request takes of the worker's core, a text of an embedding call."""

    name: str
    clock: Clock
    draws: Mapping[str, Draws]  # by model
    tokens: Tokens
    core: Core
    cpu_s: float
    tally: Tally = field(default_factory=Tally)

    async def chat(self, request: ChatRequest) -> ChatReply:
        reply, draws = await self._answer(request.model, 1)
        prompt = round(self.tokens(request) * draws.prompt_ratio)
        return ChatReply(
            text=REFUSED * max(1, reply.completion) if reply.rejected else "ok",
            model=request.model,
            usage=Usage(prompt=prompt, completion=reply.completion, cached=round(prompt * reply.cached)),
            finish_reason="stop",
            response={},
            latency_ms=reply.latency_s * 1000,
        )

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:
        reply, draws = await self._answer(model, len(texts))
        asked = (EmbeddingRequest(provider=self.name, model=model, text=text, dimensions=dimensions) for text in texts)
        return EmbeddingReply(
            vectors=np.zeros((len(texts), 1), dtype=np.float32),
            model=model,
            usage=Usage(prompt=round(sum(map(self.tokens, asked)) * draws.prompt_ratio)),
            response={},
            latency_ms=reply.latency_s * 1000,
        )

    async def close(self) -> None:
        return None

    async def _answer(self, model: str, items: int) -> tuple[Reply, Draws]:
        draws = self.draws[model]
        drawn = draws.next()
        self.tally.sent += 1
        self.tally.in_flight_s += drawn.latency_s
        await self.clock.sleep(drawn.latency_s + self.core.delay(items * self.cpu_s))
        if isinstance(drawn, Failure):
            raise _error(drawn)
        return drawn, draws


def _error(failure: Failure) -> ProviderError:
    latency_ms = failure.latency_s * 1000
    if not failure.status:
        return ProviderUnreachable("no answer", latency_ms=latency_ms)
    return ProviderRefused(f"status {failure.status}", latency_ms=latency_ms, status=failure.status)
