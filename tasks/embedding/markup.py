"""A document as a stream of cleaned lines: what a reader would read, without the markup that only a renderer needs."""

from collections.abc import Iterator
from enum import StrEnum

from tasks.embedding import html, markdown, rst
from tasks.embedding.lines import Line

CLEANING_VERSION = 1
"""Raised whenever a cleaner gives another text for the same document."""


class Markup(StrEnum):
    """How a document is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    RST = "rst"
    HTML = "html"


SUFFIXES = {
    ".txt": Markup.TEXT,
    ".text": Markup.TEXT,
    ".md": Markup.MARKDOWN,
    ".markdown": Markup.MARKDOWN,
    ".rst": Markup.RST,
    ".html": Markup.HTML,
    ".htm": Markup.HTML,
    ".xhtml": Markup.HTML,
}


def clean(markup: Markup, pieces: Iterator[str]) -> Iterator[Line]:
    """Lines without markup. ``pieces`` are lines with their ends, overlong ones in parts."""
    match markup:
        case Markup.TEXT:
            return map(Line, pieces)
        case Markup.MARKDOWN:
            return _single_spaced(markdown.lines(pieces))
        case Markup.RST:
            return _single_spaced(rst.lines(pieces))
        case Markup.HTML:
            return _single_spaced(html.lines(pieces))


def _single_spaced(lines: Iterator[Line]) -> Iterator[Line]:
    """Removed markup leaves empty lines behind; between two paragraphs one is enough."""
    after_blank = True
    for line in lines:
        if not line.blank:
            yield line
        elif not after_blank:
            yield Line("\n")
        after_blank = line.blank
