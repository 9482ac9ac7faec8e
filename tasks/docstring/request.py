"""The prompt of a job, and back from a prompt to what it was made of."""

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import ValidationError

from core.model import ChatRequest, JsonObject, Message, Variant
from tasks.answers import schema_of
from tasks.docstring.answer import DocstringAnswer
from tasks.docstring.facts import SUMMARY, Facts, JobInput
from tasks.templates import render

VERSION = "docstring/2"
_PACKAGE = "tasks.docstring"
_MARKER = "llmsweep/docstring:"
_FACTS = "Facts:\n"
_NOTHING: Mapping[str, JsonObject] = MappingProxyType({})


def request_of(job: JobInput, variant: Variant, earlier: Mapping[str, JsonObject] = _NOTHING) -> ChatRequest:
    """Depends on the code alone, not on where the file lies: a moved function finds its cached answer.

    ``earlier``: results that the sweep has brought for names in ``job.needs``; a callee without one is not told.
    """
    written = {name: result["answer"]["summary"][:SUMMARY] for name, result in earlier.items()}
    callees = {name: doc or written.get(name, "") for name, doc in job.facts.callees.items()}
    told = job.facts.model_copy(update={"callees": {name: doc for name, doc in callees.items() if doc}})
    facts = told.model_dump_json(exclude_defaults=True)
    return ChatRequest(
        provider=variant.provider,
        model=variant.model,
        messages=(
            _system(),
            Message(role="user", content=render(_PACKAGE, "user", facts=facts, source=job.source)),
        ),
        params=variant.params,
        schema=schema_of(DocstringAnswer, "docstring"),
        version=VERSION,
        sample=variant.sample,
    )


@functools.cache
def _system() -> Message:
    return Message(role="system", content=render(_PACKAGE, "system"))


def facts_in(messages: Sequence[Message]) -> Facts | None:
    """The facts that a prompt of this kind tells, whatever turns came after it; None: not such a prompt."""
    ours = any(m.role == "system" and m.content.startswith(_MARKER) for m in messages)
    user = next((m.content for m in messages if m.role == "user"), "")
    if not ours or not user.startswith(_FACTS):
        return None
    try:
        return Facts.model_validate_json(user.removeprefix(_FACTS).partition("\n")[0])
    except ValidationError:
        return None
