"""The prompt of one field, and the way back: the rule-based writer reads its facts from the prompt as a model would."""

import functools
from collections.abc import Sequence

import orjson
from pydantic import ValidationError

from core.model import Message
from tasks.dictionary.facts import Facts, SemanticType
from tasks.templates import render

VERSION = "dictionary/1"

_MARKER = "Field facts: "
_PACKAGE = "tasks.dictionary"
_COMMENT = 1000


def messages(facts: Facts) -> tuple[Message, ...]:
    """System and user message; the same facts give the same bytes."""
    text = orjson.dumps(_shortened(facts).dump()).decode()
    return (
        Message(role="system", content=_system()),
        Message(role="user", content=render(_PACKAGE, "field", marker=_MARKER, facts=text)),
    )


def read(given: Sequence[Message]) -> Facts | None:
    """The facts of this kind's own prompt; None for any other."""
    for message in given:
        if message.role != "user":
            continue
        # JSON holds no line break, so that no text inside the facts can end or fake the line.
        for line in message.content.split("\n"):
            if line.startswith(_MARKER):
                try:
                    return Facts.model_validate_json(line.removeprefix(_MARKER))
                except ValidationError:
                    return None
    return None


def _shortened(facts: Facts) -> Facts:
    """A person's text is kept whole in the result, but a prompt needs no more than its beginning."""
    if max(len(facts.comment), len(facts.table_comment)) <= _COMMENT:
        return facts
    return facts.model_copy(
        update={"comment": facts.comment[:_COMMENT], "table_comment": facts.table_comment[:_COMMENT]}
    )


@functools.cache
def _system() -> str:
    return render(_PACKAGE, "system", vocabulary=[meaning.value for meaning in SemanticType])
