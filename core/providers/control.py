"""The control plane: what a provider tells of its models, beside the calls. The ``openai`` package asks."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import openai

from core.errors import InputError
from core.providers.address import GuardedResolver, check_base_url
from core.providers.local.directory import find
from core.settings import LOCAL, ProviderSettings, settings

_TOLD_AS = ("max_model_len", "max_context_length", "context_length", "context_window", "max_input_tokens")
"""What vLLM, LM Studio, OpenRouter, Groq and LiteLLM call it; OpenAI does not tell."""

_KNOWN = {"text-embedding-": 8_192}
"""OpenAI, "Embeddings": the longest input of each of its models."""

_PATIENCE_S = 5.0


async def longest_input(provider: str, loaded: ProviderSettings, model: str) -> int | None:
    """The most tokens that an embedding model takes in one text; None: nobody says."""
    if provider == LOCAL:
        return _of_directory(loaded, model)
    told = None if provider in {"azure", "anthropic"} else await _told(loaded, model)
    return told or next((limit for prefix, limit in _KNOWN.items() if model.startswith(prefix)), None)


def _of_directory(loaded: ProviderSettings, model: str) -> int | None:
    try:
        return None if loaded.model_path is None else find(loaded.model_path.resolve(), model).max_tokens
    except InputError:  # the probe itself says so, in its own words
        return None


async def _told(loaded: ProviderSettings, model: str) -> int | None:
    """What the list of models says. A server that lists none, or not this one, says nothing."""
    allow_private = settings().allow_private_base_urls
    key = "none" if loaded.api_key is None else loaded.api_key.get_secret_value()
    transport = openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=loaded.trust_env)
    try:
        base_url = check_base_url(loaded.base_url, allow_private=allow_private)
        if not loaded.trust_env:  # a proxy resolves by itself
            host = urlsplit(base_url).hostname or ""
            await GuardedResolver(allow_private=allow_private).resolve(host, 0, socket.AF_UNSPEC)
        client = openai.AsyncOpenAI(
            api_key=key, base_url=base_url, max_retries=0, timeout=_PATIENCE_S, http_client=transport
        )
        async with asyncio.timeout(_PATIENCE_S):
            page = await client.models.list()
        return next((_length(entry.model_extra or {}) for entry in page.data or () if entry.id == model), None)
    except (openai.OpenAIError, InputError, OSError, ValueError, AttributeError, TypeError):
        return None  # a courtesy: the call that follows is what decides
    finally:
        await transport.aclose()


def _length(told: Mapping[str, Any]) -> int | None:
    found = (told.get(name) for name in _TOLD_AS)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
