"""Documents, wherever they lie. A document is opened when its turn comes, and read in pieces."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from tasks.embedding.markup import Markup
from tasks.kind import Problem

_PIECE = 65_536  # characters: a line may be as long as its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """``key``: path, id or package; ``title``: what to show where the text has no heading of its own.

    ``pieces`` opens it anew: lines with their ends, overlong ones in parts. Raises OSError and UnicodeError.
    """

    key: str
    title: str
    sha256: str
    markup: Markup
    pieces: Callable[[], Iterator[str]]


Read: TypeAlias = Document | Problem


def from_text(text: str, *, key: str, title: str, markup: Markup = Markup.TEXT) -> Document:
    """A document that is in memory already."""
    return Document(
        key=key,
        title=title,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        markup=markup,
        pieces=lambda: pieces_of(io.StringIO(text)),
    )


def from_row(row: Mapping[str, Any], *, where: str, field: str, key: str | None, title: str) -> Read:
    """One field of a record as a document. It is named by the field ``key``, else by ``id``, else by where it is."""
    text = row.get(field)
    if isinstance(text, str):
        named = row.get("title")
        own_title = named if isinstance(named, str) and named.strip() else title
        return from_text(text, key=_name(row.get(key or "id"), where), title=own_title)
    if field in row:
        what = "empty" if text is None else f"of type {type(text).__name__}, not text"
        return Problem(where=where, what=f"{field!r} is {what}")
    return Problem(where=where, what=f"no field {field!r}; there are: {', '.join(list(row)[:20])}")


def _name(value: object, default: str) -> str:
    usable = isinstance(value, str | int | Decimal | UUID) and not isinstance(value, bool)
    return (str(value).strip() if usable else "") or default


def pieces_of(stream: io.TextIOBase) -> Iterator[str]:
    """A text stream in lines, those that are longer than 64 K characters in parts."""
    while piece := stream.readline(_PIECE):
        yield piece
