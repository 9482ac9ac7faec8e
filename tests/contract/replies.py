"""Bodies of a provider's replies, and what a provider makes of them."""

from typing import Any

import pytest

from core.errors import ProviderError
from core.model import ChatRequest, Message
from core.ports import Provider

KEY = "sk-planted-0123456789abcdef"


def chat_body(**changes: Any) -> dict[str, Any]:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
    return body | changes


def message(**fields: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}]


def embeddings_body(*vectors: Any, **changes: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    body = {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": {"prompt_tokens": 4}}
    return body | changes


def a_request(**fields: Any) -> ChatRequest:
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "messages": (Message(role="user", content="Say hello."),),
    }
    return ChatRequest(**(values | fields))


async def failure(provider: Provider) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.chat(a_request())
    return caught.value
