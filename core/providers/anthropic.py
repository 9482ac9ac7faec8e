"""Anthropic's messages API. A JSON schema becomes a tool that the model must use; there are no embeddings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from yarl import URL

from core.errors import ProviderRefused
from core.model import ChatReply, ChatRequest, EmbeddingReply, ResponseSchema, Usage
from core.providers.openai_compatible import CHAT_CAP
from core.providers.openai_replies import number
from core.providers.transport import Received, Transport
from core.tokens import DEFAULT_COMPLETION, count, count_messages

VERSION = "2023-06-01"
"""The ``anthropic-version`` header."""

_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "stop", "max_tokens": "length"}
_SYSTEM = frozenset({"system", "developer"})
_RESERVED = frozenset({"model", "messages", "system", "stream", "max_completion_tokens"})


class Anthropic:
    """Chat only."""

    def __init__(self, *, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._url = URL(f"{base_url}/messages")

    @property
    def name(self) -> str:
        return "anthropic"

    async def chat(self, request: ChatRequest) -> ChatReply:
        """One message. Raises ProviderError."""
        received = await self._transport.post(self._url, messages_payload(request), cap=CHAT_CAP)
        return _read(received, request)

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> EmbeddingReply:  # noqa: ARG002 - the port's
        """Raises ProviderRefused: there is no such API."""
        raise ProviderRefused("provider anthropic makes no embeddings", status=404, code="no_embeddings", usage=Usage())

    async def close(self) -> None:
        """Closes the connections of the running loop."""
        await self._transport.close()


def messages_payload(request: ChatRequest) -> dict[str, Any]:
    """The JSON body of a message: system apart, ``max_tokens`` always."""
    params = request.params
    payload = {key: value for key, value in params.items() if key not in _RESERVED}
    payload["max_tokens"] = params.get("max_tokens") or params.get("max_completion_tokens") or DEFAULT_COMPLETION
    payload["model"] = request.model
    payload["messages"] = [{"role": m.role, "content": m.content} for m in request.messages if m.role not in _SYSTEM]
    system = "\n\n".join(m.content for m in request.messages if m.role in _SYSTEM)
    if system:
        payload["system"] = system
    if request.schema is not None:
        tool = _tool_name(request.schema)
        payload["tools"] = [{"name": tool, "description": "Gives the answer.", "input_schema": request.schema.json}]
        payload["tool_choice"] = {"type": "tool", "name": tool}
    return payload


def _tool_name(schema: ResponseSchema) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", schema.name)[:64] or "answer"


def _read(received: Received, request: ChatRequest) -> ChatReply:
    body = received.body
    blocks = body.get("content")
    usage = _usage(body.get("usage"))
    if not isinstance(blocks, list):
        raise received.malformed("the answer holds no content", usage)
    text = _text(blocks, request.schema)
    usage = usage or Usage(
        prompt=count_messages(request.messages, request.model, request.schema),
        completion=count(text or "", request.model),
    )
    stop_reason = body.get("stop_reason")
    if stop_reason == "refusal":
        raise received.filtered(text or "the model refused to answer", usage)
    if text is None:
        raise received.malformed("the answer has no content", usage)
    return ChatReply(
        text=text,
        model=str(body.get("model") or request.model),
        usage=usage,
        finish_reason=_FINISH.get(str(stop_reason), str(stop_reason or "stop")),
        response=body,
        latency_ms=received.latency_ms,
        request_id=received.request_id,
        limits=received.limits,
    )


def _text(blocks: list[Any], schema: ResponseSchema | None) -> str | None:
    """The tool's input as JSON where a schema was asked for, else the text blocks in a row."""
    known = [block for block in blocks if isinstance(block, dict)]
    if schema is not None:
        inputs = [block.get("input") for block in known if block.get("type") == "tool_use"]
        if inputs:
            return orjson.dumps(inputs[0]).decode()
    texts = [block.get("text") for block in known if block.get("type") == "text"]
    found = [text for text in texts if isinstance(text, str)]
    return "".join(found) if found else None


def _usage(usage: Any) -> Usage | None:
    # Anthropic counts what it read from and wrote to its prompt cache beside `input_tokens`; ours holds all of it.
    if not isinstance(usage, Mapping) or not usage:
        return None
    cached = number(usage.get("cache_read_input_tokens"))
    written = number(usage.get("cache_creation_input_tokens"))
    return Usage(
        prompt=number(usage.get("input_tokens")) + cached + written,
        completion=number(usage.get("output_tokens")),
        cached=cached,
        cache_write=written,
        tier="fast" if usage.get("speed") == "fast" else "",
    )
