"""Documents, wherever they lie. A document is opened when its turn comes, and read in pieces."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

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


def pieces_of(stream: io.TextIOBase) -> Iterator[str]:
    """A text stream in lines, those that are longer than 64 K characters in parts."""
    while piece := stream.readline(_PIECE):
        yield piece
