"""Answers that are wrong in content, as a model's can be: what validation and acceptance must catch."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from core.model import ResponseSchema
from scripts.simulator.instances import instance, resolved

_PARAMETERS = re.compile(r"param(eter)?s?|arg(ument)?s?", re.IGNORECASE)
_RAISES = re.compile(r"raises?|exceptions?|errors?", re.IGNORECASE)
_NAMES = ("name", "parameter", "param", "argument", "type", "exception", "error")
_INVENTED_PARAMETER = "invented_parameter"
_INVENTED_EXCEPTION = "InventedConnectionError"
_PROSE = (
    "Sure! Here is what you asked for. The code takes its input, processes it, and returns the result to the caller. "
    "Let me know if you would like me to go into more detail!"
)


def spoil(fault: str, text: str, schema: ResponseSchema | None) -> str | None:
    """The answer made wrong; None: this answer cannot be wrong in that way."""
    match fault:
        case "prose":
            return _PROSE
        case "bad-json":
            return text[: max(1, len(text) * 2 // 3)] + ', "'
        case "wrong-schema":
            return '{"unexpected": {"shape": ["of", "an", "answer"]}, "confidence": "high"}'
        case "wrong-params":
            return _changed(text, schema, _PARAMETERS, _INVENTED_PARAMETER, rename=True)
        case "invented-raises":
            return _changed(text, schema, _RAISES, _INVENTED_EXCEPTION, rename=False)
        case _:
            return None


def _changed(
    text: str, schema: ResponseSchema | None, field: re.Pattern[str], invented: str, *, rename: bool
) -> str | None:
    """The answer with an invented entry in the list or mapping of that name; ``rename``: and no true name in it."""
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    key = next((key for key in answer if field.fullmatch(key)), None) if isinstance(answer, dict) else None
    if key is None:
        return None
    entries = answer[key]
    if isinstance(entries, dict):
        kept = {f"{name}_value": value for name, value in entries.items()} if rename else entries
        answer[key] = {**kept, invented: "It is not there."}
    elif isinstance(entries, list):
        kept_list = [_named(entry, f"{_name_of(entry)}_value") for entry in entries] if rename else entries
        answer[key] = [*kept_list, _named(_sample(entries, key, schema), invented)]
    else:
        return None
    return orjson.dumps(answer).decode()


def _sample(entries: list[Any], key: str, schema: ResponseSchema | None) -> Any:
    """An entry to copy: one that is there, else the schema's, else a guess."""
    if entries:
        return entries[0]
    if schema is not None:
        field = resolved(schema.json.get("properties", {}).get(key, {}), schema.json)
        item = field.get("items")
        if isinstance(item, Mapping):
            return instance({**resolved(item, schema.json), "$defs": schema.json.get("$defs", {})}, bytes(32))
    return {"name": "", "description": "It is not there."}


def _name_of(entry: Any) -> str:
    if isinstance(entry, dict):
        return str(next((entry[name] for name in _NAMES if name in entry), ""))
    return str(entry)


def _named(entry: Any, name: str) -> Any:
    if not isinstance(entry, dict):
        return name
    field = next((field for field in _NAMES if field in entry), "name")
    return {**entry, field: name}
