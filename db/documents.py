"""JSON as PostgreSQL's type ``json`` takes and gives it."""

import json
from collections.abc import Mapping
from typing import Any

import orjson


def dump_json(value: Any) -> bytes:
    """Compact JSON that the type ``json`` takes whatever a provider sent: NUL, lone surrogates, huge integers."""
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError:
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def load_json(value: str | None) -> Any:
    """The reverse; None stays None. Not by orjson: it reads integers beyond 64 bits as floats."""
    return None if value is None else json.loads(value)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
