"""Answers that must satisfy a JSON schema of the user's."""

import functools
import re
from typing import Any

import orjson
from jsonschema import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from core.errors import InputError
from core.model import Accepted, JsonObject, Rejected, ResponseSchema, Verdict
from core.nesting import DEEPEST, is_deep

_TOLD = 5


def check(schema: JsonObject) -> None:
    """Raises InputError for what is no JSON schema."""
    try:
        validator_for(schema).check_schema(dict(schema))
    except SchemaError as exc:
        raise InputError(f"not a JSON schema: {exc.json_path}: {exc.message}") from exc


def response_schema(schema: JsonObject) -> ResponseSchema:
    """The schema under a name that providers accept."""
    title = schema.get("title")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title)[:64] if isinstance(title, str) else ""
    return ResponseSchema(name=name.strip("_") or "answer", json=schema)


def judge(text: str, schema: JsonObject) -> Verdict:
    """The answer's JSON value, or what is wrong with it, in words that a model can act on."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        return Rejected(reason=f"the answer is not JSON: {exc}")
    if is_deep(value):
        return Rejected(reason=f"the answer is nested more than {DEEPEST} levels deep")
    try:
        errors = [
            f"{error.json_path}: {error.message}"[:500] for error in _validator(_frozen(schema)).iter_errors(value)
        ]
    except Unresolvable as exc:
        return Rejected(reason=f"the schema refers to {exc.ref!r}, which is not in it")
    if errors:
        return Rejected(reason="; ".join(errors[:_TOLD]))
    return Accepted(result={"json": value})


@functools.lru_cache(maxsize=16)
def _validator(schema: bytes) -> Validator:
    parsed: Any = orjson.loads(schema)
    # An empty registry: a $ref to the web is an error, never a download.
    return validator_for(parsed)(parsed, registry=Registry())


def _frozen(schema: JsonObject) -> bytes:
    return orjson.dumps(schema)
