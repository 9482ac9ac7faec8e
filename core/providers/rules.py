"""The offline provider: the kinds' own rule-based writers, injected, so that ``core`` knows no kind."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from core.errors import ProviderRefused
from core.model import ChatReply, ChatRequest, EmbeddingReply, Message, Usage, Vector
from core.ports import Clock
from core.settings import RULES

Writer: TypeAlias = Callable[[Sequence[Message]], str | None]
"""A prompt -> what a kind answers by rule; None: no kind knows the prompt."""

Embedder: TypeAlias = Callable[[Sequence[str], int | None], Vector]
"""(texts, dimensions) -> float32 of shape (texts, dimension)."""


class Rules:
    """Answers at once, counts no tokens and costs nothing."""

    def __init__(self, *, answer: Writer, embedder: Embedder | None, clock: Clock) -> None:
        self._answer = answer
        self._embedder = embedder
        self._clock = clock

    @property
    def name(self) -> str:
        return RULES

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Raises ProviderRefused when no kind knows the prompt."""
        started = self._clock.monotonic()
        text = self._answer(request.messages)
        latency_ms = (self._clock.monotonic() - started) * 1000
        if text is None:
            raise ProviderRefused(
                "no rule answers this prompt", status=422, code="no_rule", usage=Usage(), latency_ms=latency_ms
            )
        return ChatReply(
            text=text,
            model=request.model,
            usage=Usage(),
            finish_reason="stop",
            response={"content": text},
            latency_ms=latency_ms,
        )

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:
        """Raises ProviderRefused where nobody brought an embedder."""
        if self._embedder is None:
            raise ProviderRefused("provider rules makes no embeddings", status=404, code="no_embeddings", usage=Usage())
        started = self._clock.monotonic()
        vectors = self._embedder(texts, dimensions)
        latency_ms = (self._clock.monotonic() - started) * 1000
        return EmbeddingReply(vectors=vectors, model=model, usage=Usage(), response={}, latency_ms=latency_ms)

    async def close(self) -> None:
        """Nothing to close."""
