"""The prompt of a job, and back from a prompt to what it was made of."""

import functools
from collections.abc import Sequence

from pydantic import ValidationError

from core.model import ChatRequest, Message, Variant
from tasks.answers import schema_of
from tasks.docstring.answer import DocstringAnswer
from tasks.docstring.facts import Facts, JobInput
from tasks.templates import render

VERSION = "docstring/1"
_PACKAGE = "tasks.docstring"
_MARKER = "llmsweep/docstring:"
_FACTS = "Facts:\n"


def request_of(job: JobInput, variant: Variant) -> ChatRequest:
    """Depends on the code alone, not on where the file lies: a moved function finds its cached answer."""
    facts = job.facts.model_dump_json(exclude_defaults=True)
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
