"""The fingerprint: SHA-256 of the canonical request, of all that can change the output and of nothing else.

Not in it: API keys, base URLs, timeouts, the sweep, the job's key.
"""

import hashlib
from typing import Any

import orjson

from core.model import ChatRequest, Request

_FORMAT = "float32"  # what an embedding is kept as, whatever travelled on the wire


def fingerprint(request: Request) -> str:
    """64 hex digits, equal for equal requests in any process and any version of Python."""
    return hashlib.sha256(orjson.dumps(_canonical(request), option=orjson.OPT_SORT_KEYS)).hexdigest()


def batch_fingerprint(parts: list[str]) -> str:
    """The fingerprint of one call that serves several requests, from theirs, in their order."""
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def _canonical(request: Request) -> dict[str, Any]:
    common = {"provider": request.provider, "model": request.model, "version": request.version, "salt": request.salt}
    if isinstance(request, ChatRequest):
        return common | {
            "messages": [[message.role, message.content] for message in request.messages],
            "params": dict(request.params),
            "schema": None if request.schema is None else [request.schema.name, dict(request.schema.json)],
            "sample": request.sample,
        }
    return common | {"text": request.text, "dimensions": request.dimensions, "format": _FORMAT}
