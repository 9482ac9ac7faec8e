"""The provider ``local``: embeds with the user's own model, in a thread beside the event loop. Costs nothing."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError, MalformedAnswer, ProviderError, ProviderRefused
from core.model import ChatReply, ChatRequest, EmbeddingReply, Usage
from core.ports import Clock
from core.providers.local.directory import find
from core.providers.local.models import Encoded, LocalModel, load
from core.providers.local.pooling import normalised
from core.providers.vectors import unusable
from core.settings import LOCAL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Computed:
    encoded: Encoded
    runtime: str


class Local:
    """Models by name: ``LOCAL_MODEL_PATH`` itself, or the directories in it."""

    def __init__(self, *, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._models: dict[str, LocalModel] = {}
        # One thread: a model uses all cores by itself, and two at once would only wait for each other.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-model")

    @property
    def name(self) -> str:
        return LOCAL

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Raises ProviderRefused: a model of this kind makes vectors only."""
        raise ProviderRefused(
            f"provider local makes embeddings only, {request.model} writes no answers", status=404, code="no_chat"
        )

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:
        """The texts' vectors; fewer ``dimensions`` than the model's own are its first ones. Raises ProviderError."""
        started = self._clock.monotonic()
        try:
            loop = asyncio.get_running_loop()
            computed = await loop.run_in_executor(self._thread, self._compute, model, list(texts))
            encoded = _cut(computed.encoded, dimensions, model)
        except InputError as exc:
            message = f"{exc.message} ({exc.hint})" if exc.hint else exc.message
            raise ProviderRefused(message, status=404, code="model_not_usable", usage=Usage()) from exc
        latency_ms = (self._clock.monotonic() - started) * 1000
        usage = Usage(prompt=encoded.tokens)
        flaws = {**encoded.flaws, **unusable(encoded.vectors, known=encoded.flaws)}
        if len(flaws) == len(texts):
            raise _none_usable(flaws[0], encoded, latency_ms)
        return EmbeddingReply(
            vectors=encoded.vectors,
            flaws=flaws,
            model=model,
            usage=usage,
            response={"object": "list", "model": model, "runtime": computed.runtime},
            latency_ms=latency_ms,
        )

    async def close(self) -> None:
        """Lets the thread end once its batch is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _compute(self, model: str, texts: list[str]) -> _Computed:
        if model not in self._models:
            self._models[model] = load(find(self._root, model))
        loaded = self._models[model]
        return _Computed(encoded=loaded.encode(texts), runtime=loaded.runtime)


def _none_usable(why: str, encoded: Encoded, latency_ms: float) -> ProviderError:
    usage = Usage(prompt=encoded.tokens)
    if encoded.flaws:  # texts that are too long: the same again would change nothing
        return ProviderRefused(why, status=400, code="context_length_exceeded", usage=usage, latency_ms=latency_ms)
    return MalformedAnswer(why, usage=usage, latency_ms=latency_ms)


def _cut(encoded: Encoded, dimensions: int | None, model: str) -> Encoded:
    own = encoded.vectors.shape[1]
    if dimensions is None or dimensions == own or not own:
        return encoded
    if dimensions > own:
        raise InputError(f"{model} has {own} dimensions, not {dimensions}")
    # As OpenAI's API does it: the first ones, brought to length 1 again.
    return Encoded(vectors=normalised(encoded.vectors[:, :dimensions]), tokens=encoded.tokens, flaws=encoded.flaws)
