"""What a sweep's spec may say about prompts. Files that it names are read once, when it is submitted: workers on other
machines, and a sweep that is resumed later, see what was there then.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from core.errors import InputError

DEFAULT_TEMPLATE = "{{ prompt }}"

_TEMPLATE_FILE = re.compile(r"[^{}\s]+\.(?:jinja2?|j2|txt|md|prompt)")  # one word, so that a sentence is never a file


class PromptSource(BaseModel):
    """A JSONL or CSV file, ``-`` for standard input. Every record is a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1)


def _template_text(value: Any) -> Any:
    """A template as it stands, or the text of the file that the value names."""
    if not isinstance(value, str) or not _TEMPLATE_FILE.fullmatch(value):
        return value
    return _file_text(value, "template")


def _schema_object(value: Any) -> Any:
    """A JSON schema as it stands, or that of the file that the value names."""
    if not isinstance(value, str):
        return value
    try:
        schema = orjson.loads(_file_text(value, "schema"))
    except orjson.JSONDecodeError as exc:
        raise InputError(f"schema file {value}: not JSON: {exc}") from exc
    if not isinstance(schema, dict):
        raise InputError(f"schema file {value}: not a JSON object")
    return schema


def _file_text(name: str, what: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise InputError(f"{what} file {name} cannot be read: {exc.strerror}") from exc
    except UnicodeError as exc:
        raise InputError(f"{what} file {name} is not UTF-8 text") from exc


Template = Annotated[str, BeforeValidator(_template_text)]


class PromptOptions(BaseModel):
    """How a record becomes a request. Templates are Jinja, over the record's columns; ``row`` holds all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: Template = DEFAULT_TEMPLATE  # or the name of a .jinja, .j2, .txt, .md or .prompt file
    system: Template = ""
    key: str | None = None  # column that names the job; default: id or key, else the line number
    answer_schema: Annotated[dict[str, Any], BeforeValidator(_schema_object)] | None = Field(
        default=None, validation_alias=AliasChoices("schema", "answer_schema")
    )  # JSON schema of the answer, or the name of a file that holds it
    whitespace: bool = False  # collapse runs of white space
    pii: bool = False  # e-mail addresses and phone numbers become [EMAIL] and [PHONE]
    truncate_tokens: int | None = Field(default=None, ge=1)
