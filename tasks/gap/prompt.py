"""The prompt of a job, and back from a prompt to its payload."""

import functools
import re
from collections.abc import Sequence

from pydantic import ValidationError

from core.model import ChatRequest, Message, Variant
from tasks.answers import schema_of
from tasks.gap import encode
from tasks.gap.answer import GapAnswer
from tasks.gap.encode import Encoded, Tables
from tasks.gap.facts import Payload
from tasks.templates import render

VERSION = "gap/1"
_PACKAGE = "tasks.gap"
_MARKER = "llmsweep/gap:"
_FORMATS = ("TOON", "table (cells parted by |)", "CSV", "JSON")
_USER = re.compile(
    r"(?:Judge the requirement (?P<requirement>.*)\.|Which symbols of the module (?P<module>.*) does the design not "
    r"speak of\?)\nData \((?P<format>\w+)\):\n(?P<data>.*)\Z",
    re.DOTALL,
)


def request_of(payload: Payload, variant: Variant) -> ChatRequest:
    """Depends on what the payload tells alone, not on where the project lies."""
    return ChatRequest(
        provider=variant.provider,
        model=variant.model,
        messages=messages(payload, encoded(payload, variant.model)),
        params=variant.params,
        schema=schema_of(GapAnswer, "gap"),
        version=VERSION,
        sample=variant.sample,
    )


def messages(payload: Payload, chosen: Encoded) -> tuple[Message, ...]:
    """System and user message around an encoded payload."""
    user = render(_PACKAGE, "user", task=payload.task, subject=payload.subject, format=chosen.name, data=chosen.text)
    return (_system(), Message(role="user", content=user))


def encoded(payload: Payload, model: str) -> Encoded:
    """The payload in the encoding that is cheapest for a model."""
    return encode.cheapest(tables(payload), model)


def tables(payload: Payload) -> Tables:
    """What is encoded: the requirements and the symbols."""
    return {
        "requirements": [requirement.model_dump() for requirement in payload.requirements],
        "symbols": [symbol.model_dump() for symbol in payload.symbols],
    }


def payload_in(given: Sequence[Message]) -> Payload | None:
    """The payload of this kind's own prompt, whatever turns came after it; None: not such a prompt."""
    ours = any(m.role == "system" and m.content.startswith(_MARKER) for m in given)
    user = _USER.fullmatch(next((m.content for m in given if m.role == "user"), ""))
    if not ours or user is None:
        return None
    try:
        found = encode.decode(user["format"], user["data"])
        task = "requirement" if user["requirement"] is not None else "module"
        return Payload.model_validate({"task": task, "subject": user["requirement"] or user["module"], **found})
    except (KeyError, ValueError, ValidationError):
        return None


@functools.cache
def _system() -> Message:
    return Message(role="system", content=render(_PACKAGE, "system", formats=_FORMATS))
