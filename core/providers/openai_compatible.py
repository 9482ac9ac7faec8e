"""OpenAI's chat and embeddings API: OpenAI itself, and every server that speaks it (LM Studio, Ollama, vLLM ...)."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import orjson
from yarl import URL

from core.model import ChatReply, ChatRequest, EmbeddingReply, Message, ResponseSchema
from core.providers.openai_replies import read_chat, read_embeddings
from core.providers.transport import Transport
from core.settings import BASE_URLS, ProviderSettings

CHAT_CAP = 8 * 1024 * 1024
EMBEDDINGS_CAP = 32 * 1024 * 1024

UrlOf: TypeAlias = Callable[[str, str], URL]
"""(model, path of the endpoint) -> where to send the call."""

_REASONING = re.compile(r"^(o\d|gpt-[5-9])")
# What an answer in prose mode is often wrapped in. No JSON begins so.
_FENCE = re.compile(r"\A\s*```\w*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
# Ours to set: a streamed answer is not one that we read.
_RESERVED = frozenset({"model", "messages", "stream", "stream_options"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a server differs from what most of them do."""

    structured_output: Literal["json_schema", "json_object", "prompt"] = "json_schema"  # what it can enforce
    renames_max_tokens: bool = False  # its reasoning models only know `max_completion_tokens`


class OpenAICompatible:
    """Chat and embeddings over one transport."""

    def __init__(self, *, name: str, transport: Transport, url_of: UrlOf, dialect: Dialect) -> None:
        self._name = name
        self._transport = transport
        self._url_of = url_of
        self._dialect = dialect

    @property
    def name(self) -> str:
        return self._name

    async def chat(self, request: ChatRequest) -> ChatReply:
        """One completion. Raises ProviderError."""
        url = self._url_of(request.model, "chat/completions")
        received = await self._transport.post(url, chat_payload(request, self._dialect), cap=CHAT_CAP)
        reply = read_chat(received, request)
        if request.schema is not None and (fenced := _FENCE.match(reply.text)):
            return replace(reply, text=fenced[1])
        return reply

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:
        """The vectors of up to 2,048 texts. Raises ProviderError."""
        payload: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "base64"}
        if dimensions is not None:
            payload["dimensions"] = dimensions
        received = await self._transport.post(self._url_of(model, "embeddings"), payload, cap=EMBEDDINGS_CAP)
        return read_embeddings(received, model, texts, dimensions)

    async def close(self) -> None:
        """Closes the connections of the running loop."""
        await self._transport.close()


def openai(settings: ProviderSettings, transport: Transport, base_url: str) -> OpenAICompatible:
    """OpenAI, or the server that ``OPENAI_BASE_URL`` names."""
    dialect = Dialect(
        structured_output=settings.structured_output,
        renames_max_tokens=base_url == BASE_URLS["openai"],
    )
    return OpenAICompatible(name="openai", transport=transport, url_of=under(base_url), dialect=dialect)


def under(base_url: str) -> UrlOf:
    """Endpoints directly below an address, whatever the model."""

    @functools.cache
    def url_of(path: str) -> URL:
        return URL(f"{base_url}/{path}")

    return lambda _, path: url_of(path)


def chat_payload(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """The JSON body of a chat completion."""
    payload = {key: value for key, value in request.params.items() if key not in _RESERVED}
    if dialect.renames_max_tokens and "max_tokens" in payload and _REASONING.match(request.model):
        payload["max_completion_tokens"] = payload.pop("max_tokens")
    messages = request.messages
    if request.schema is not None:
        if dialect.structured_output != "json_schema":
            messages = _with_schema(messages, request.schema)
        if dialect.structured_output != "prompt":
            payload["response_format"] = _response_format(request.schema, dialect)
    payload["model"] = request.model
    payload["messages"] = [{"role": message.role, "content": message.content} for message in messages]
    return payload


def _response_format(schema: ResponseSchema, dialect: Dialect) -> dict[str, Any]:
    if dialect.structured_output == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": schema.name, "schema": schema.json, "strict": True}}


def _with_schema(messages: tuple[Message, ...], schema: ResponseSchema) -> tuple[Message, ...]:
    demand = f"Answer with one JSON object and nothing else. Its JSON schema:\n{orjson.dumps(schema.json).decode()}"
    if messages and messages[0].role == "system":  # many chat templates take one system message only
        return (replace(messages[0], content=f"{messages[0].content}\n\n{demand}"), *messages[1:])
    return (Message(role="system", content=demand), *messages)
