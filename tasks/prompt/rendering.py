"""A record's chat messages, from templates that the user wrote."""

import functools
from collections.abc import Sequence

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, meta
from jinja2.sandbox import SandboxedEnvironment

from core import tokens
from core.errors import InputError
from core.model import JsonObject, Message
from core.preprocess import clean_whitespace, normalise_text, remove_pii
from tasks.prompt.spec import DEFAULT_TEMPLATE, PromptOptions

ROLES = frozenset({"system", "developer", "user", "assistant"})

# A template may come from anywhere: it sees its record and nothing else. Prompts are text, not HTML.
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


class UnknownColumn(InputError):
    """The template asks for a column that the record does not have."""


class Unusable(InputError):
    """The record gives no prompt; the message says why."""


def check(options: PromptOptions) -> None:
    """Raises InputError for a template that cannot be compiled."""
    for name, source in (("template", options.template), ("system", options.system)):
        try:
            _compiled(source)
        except TemplateSyntaxError as exc:
            raise InputError(f"{name}, line {exc.lineno}: {exc.message}") from exc


def messages(row: JsonObject, options: PromptOptions, model: str = "") -> tuple[Message, ...]:
    """The request's messages. A record that holds ``messages`` itself, and no ``prompt``, is taken as it is.

    Raises UnknownColumn and Unusable.
    """
    system = _rendered(options.system, row)
    start = (Message(role="system", content=_clean_system(system, options)),) if system else ()
    if options.template == DEFAULT_TEMPLATE and "prompt" not in row and "messages" in row:
        return start + tuple(
            Message(role=message.role, content=_clean(message.content, options, model))
            for message in _own_messages(row["messages"])
        )
    text = _clean(_rendered(options.template, row), options, model)
    if not text:
        raise Unusable("the prompt is empty")
    return (*start, Message(role="user", content=text))


def asked_columns(options: PromptOptions) -> set[str]:
    """The columns that the templates name."""
    trees = (_ENVIRONMENT.parse(source) for source in (options.template, options.system))
    return set().union(*(meta.find_undeclared_variables(tree) for tree in trees)) - {"row"}


@functools.lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    template = _ENVIRONMENT.from_string(source)
    template.globals = dict(template.globals)  # copied for every record, and a ChainMap is ten times slower to copy
    return template


def _rendered(source: str, row: JsonObject) -> str:
    if not source:
        return ""
    if source == DEFAULT_TEMPLATE and type(row.get("prompt")) is str:
        return normalise_text(row["prompt"])  # the same, without the template: most records are of this form
    try:
        return normalise_text(_compiled(source).render({"row": row, **row}))
    except UndefinedError as exc:
        raise UnknownColumn(exc.message or str(exc)) from exc
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        raise Unusable(f"the template fails: {exc}") from exc


def _clean(text: str, options: PromptOptions, model: str) -> str:
    text = normalise_text(text)
    if options.whitespace:
        text = clean_whitespace(text)
    if options.pii:
        text = remove_pii(text)
    if options.truncate_tokens is not None:  # last, so that the limit holds for what is sent
        text = tokens.truncate(text, options.truncate_tokens, model).rstrip()
    return text


def _clean_system(text: str, options: PromptOptions) -> str:
    return remove_pii(text) if options.pii else text


def _own_messages(value: object) -> Sequence[Message]:
    if not isinstance(value, list) or not value:
        raise Unusable("'messages' is not a list of messages")
    found = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in ROLES or not isinstance(content, str):
            raise Unusable("'messages' must hold objects with a role and a text as content")
        found.append(Message(role=role, content=content))
    return found
