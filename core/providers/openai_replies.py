"""Reads replies in OpenAI's format. Whatever is not whole and well-formed is an error, never a guess."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.model import ChatReply, ChatRequest, EmbeddingReply, Usage
from core.providers import vectors
from core.providers.transport import Received
from core.tokens import count, count_messages


def read_chat(received: Received, request: ChatRequest) -> ChatReply:
    """The first choice. Raises ProviderRefused for a refusal or a content filter, else MalformedAnswer."""
    body = received.body
    choice = _first(body.get("choices"))
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise received.malformed("the answer holds no choices", _usage(body))
    text = _content(message.get("content"))
    # Some own servers count nothing; an estimate is nearer to the truth than no tokens at all.
    usage = _usage(body) or Usage(
        prompt=count_messages(request.messages, request.model, request.schema),
        completion=count(text or "", request.model),
    )
    finish_reason = choice.get("finish_reason")
    refused = message.get("refusal")
    if finish_reason == "content_filter" or (not text and refused):
        raise received.filtered(str(refused or "the provider's content filter stopped the answer"), usage)
    if text is None:
        raise received.malformed("the answer has no content", usage)
    return ChatReply(
        text=text,
        model=str(body.get("model") or request.model),
        usage=usage,
        finish_reason=str(finish_reason or "stop"),
        response=body,
        latency_ms=received.latency_ms,
        request_id=received.request_id,
        limits=received.limits,
    )


def read_embeddings(received: Received, model: str, texts: Sequence[str], dimensions: int | None) -> EmbeddingReply:
    """One vector a text, in the texts' order. Raises MalformedAnswer."""
    bare = replace(received, body={key: value for key, value in received.body.items() if key != "data"})
    usage = _usage(bare.body) or Usage(prompt=sum(count(text, model) for text in texts))
    try:
        decoded = vectors.decode(received.body.get("data"), count=len(texts), dimensions=dimensions)
    except ValueError as exc:
        raise bare.malformed(str(exc), usage) from exc
    return EmbeddingReply(
        vectors=decoded.vectors,
        flaws=decoded.flaws,
        model=str(bare.body.get("model") or model),
        usage=usage,
        response=bare.body,
        latency_ms=bare.latency_ms,
        request_id=bare.request_id,
        limits=bare.limits,
    )


def _first(choices: Any) -> dict[str, Any] | None:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _content(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts, as some gateways send them
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return None


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """None: the provider did not count."""
    usage = body.get("usage")
    if not isinstance(usage, dict) or not usage:
        return None
    prompt = number(usage.get("prompt_tokens", usage.get("total_tokens")))
    completion = number(usage.get("completion_tokens"))
    inputs = _object(usage.get("prompt_tokens_details"))
    cached = min(number(inputs.get("cached_tokens")), prompt)
    tier = body.get("service_tier")
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=cached,
        reasoning=min(number(_object(usage.get("completion_tokens_details")).get("reasoning_tokens")), completion),
        cache_write=min(number(inputs.get("cache_write_tokens")), prompt - cached),
        tier=tier if isinstance(tier, str) and tier not in {"default", "auto"} else "",
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def number(value: Any) -> int:
    """A count of tokens; whatever is none counts as 0."""
    return value if type(value) is int and value > 0 else 0
