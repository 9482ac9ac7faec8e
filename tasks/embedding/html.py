"""HTML as a reader sees it: text in blocks, without scripts, styles and navigation."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from tasks.embedding.lines import Line

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "nav", "iframe", "select", "button"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "title"})
_BLOCKS = _HEADINGS | frozenset(
    """
    address article aside blockquote body br dd details div dl dt fieldset figcaption figure footer form head header
    hr html li main ol option p pre section summary table tbody td tfoot th thead tr ul
    """.split()  # noqa: SIM905  a list of 35 quoted words would be harder to read
)
_PARAGRAPHS = _HEADINGS | frozenset({"article", "blockquote", "dl", "ol", "p", "pre", "section", "table", "ul"})
_SPACE = re.compile(r"\s+")
_HELD = 65_536  # characters: a paragraph without end is passed on in parts


def lines(pieces: Iterator[str]) -> Iterator[Line]:
    """A line a block, a blank one around paragraphs."""
    reader = _Reader()
    for piece in pieces:
        reader.feed(piece)
        yield from reader.taken()
    reader.close()
    reader.end_block()
    yield from reader.taken()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[Line] = []
        self._block: list[str] = []
        self._held = 0
        self._unseen = 0
        self._preformatted = 0
        self._heading = False

    def taken(self) -> list[Line]:
        lines, self._lines = self._lines, []
        return lines

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if tag in _UNSEEN:
            self._unseen += 1
        if tag in _BLOCKS:
            self._begin(tag)
        self._preformatted += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if tag in _BLOCKS:
            self._begin(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        if tag in _BLOCKS:
            self._begin(tag)
            self._heading = False
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        if self._unseen or not data:
            return
        self._block.append(data if self._preformatted else _SPACE.sub(" ", data))
        self._held += len(data)
        if self._held > _HELD:
            self.end_block()

    def end_block(self) -> None:
        text = "".join(self._block)
        self._block, self._held = [], 0
        if not self._preformatted:
            text = _SPACE.sub(" ", text).strip()
        if text.strip():
            self._lines.append(Line(f"{text}\n", heading=self._heading))

    def _begin(self, tag: str) -> None:
        self.end_block()
        if tag in _PARAGRAPHS:
            self._lines.append(Line("\n"))
        self._heading = tag in _HEADINGS
