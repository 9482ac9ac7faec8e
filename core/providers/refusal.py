"""What an HTTP error says, in the words of whoever said it: OpenAI, Azure, Anthropic, vLLM, Ollama, a proxy's HTML."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from core.errors import ProviderRefused
from core.providers.limits import limit_hints, retry_after, should_retry

BODY_CHARS = 2_000
_MESSAGE_CHARS = 500
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id")
_KEPT_HEADERS = (*REQUEST_ID_HEADERS, "retry-after", "retry-after-ms", "x-should-retry")
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def refusal(status: int, headers: Mapping[str, str], body: str, *, now: float, latency_ms: float) -> ProviderRefused:
    """The error of a reply with an HTTP error status. ``body`` holds no key any more; ``now``: POSIX seconds."""
    told = _error_object(body)
    message = _text(told.get("message")) or _text(told.get("detail")) or _plain(body) or "no message"
    return ProviderRefused(
        f"HTTP {status}: {message[:_MESSAGE_CHARS]}" if not told else message[:_MESSAGE_CHARS],
        body=body[:BODY_CHARS],
        latency_ms=latency_ms,
        limits=limit_hints(headers, now),
        status=status,
        code=_text(told.get("code")),
        type=_text(told.get("type")),
        retry_after=retry_after(headers, now),
        should_retry=should_retry(headers),
        headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
    )


def excerpt(body: bytes, clean: Callable[[str], str]) -> str:
    """The start of a body for people to read, whatever its bytes are; cleaned before it is cut."""
    return clean(body[: BODY_CHARS * 4].decode("utf-8", errors="replace"))[:BODY_CHARS]


def _error_object(body: str) -> Mapping[str, Any]:
    """The object with ``message``, ``code`` and ``type``, wherever the server puts it; empty: there is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(found, list) and found:  # Google's compatible endpoint wraps the error in a list
        found = found[0]
    if not isinstance(found, dict):
        return {}
    inner = found.get("error", found)
    if isinstance(inner, str):  # Ollama
        return {"message": inner}
    return inner if isinstance(inner, dict) else found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return str(value)
    try:
        return orjson.dumps(value).decode()  # FastAPI's list of validation errors
    except TypeError:  # nested deeper than anybody would write
        return ""


def _plain(body: str) -> str:
    return " ".join(_TAGS.sub(" ", body).split())
