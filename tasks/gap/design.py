"""A design document as requirements, each with the line that it starts at.

A requirement is a list item, a row of a table, or a sentence that says shall, must, should, will ... A section that has
none of these is one requirement itself: its heading and its text.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.errors import InputError
from tasks.gap.facts import Requirement
from tasks.records import encoding_of

MAX_BYTES = 4_000_000
_LONGEST = 600  # characters; the anchor leads to the rest
_MODAL = re.compile(
    r"\b(?:shall|must|should|will|may not|can ?not|has to|have to|needs? to|(?:is|are) (?:required|expected) to"
    r"|(?:is|are) (?:not )?(?:allowed|permitted|prohibited|forbidden))\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[`*]*[A-Z0-9`])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|cf|vs|approx|no|fig|sec|incl|resp)\.[\"')\]]*$", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?^---[ \t]*$", re.DOTALL | re.MULTILINE)


def read(path: Path) -> str:
    """The document's text. Raises InputError for what is no document."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory", hint="the design is one Markdown or text file, given last")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size / 1e6:.0f} MB: no design document is longer than 4 MB")
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    encoding = encoding_of(data)
    if b"\0" in data and not encoding.startswith(("utf-16", "utf-32")):
        raise InputError(f"{path} is binary, not text", hint="the design is a Markdown or text file, given last")
    try:
        text = data.decode(encoding)
    except UnicodeError as exc:
        raise InputError(f"{path} is not {encoding} text: {exc}", hint="convert it to UTF-8") from exc
    if not text.strip():
        raise InputError(f"{path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def requirements(text: str, name: str) -> list[Requirement]:
    """All requirements of a document, in its order; ``name`` is the file in their anchors."""
    reader = _Reader(name)
    reader.read(_parser().parse(_without_front_matter(text)))
    return reader.found


def _parser() -> MarkdownIt:
    # Indented text is code in Markdown alone; in plain text, and in most lists, it is text.
    return MarkdownIt("commonmark").enable("table").disable("code")


def _without_front_matter(text: str) -> str:
    return _FRONT_MATTER.sub(lambda match: "\n" * match[0].count("\n"), text)


@dataclass(slots=True)
class _Section:
    title: str
    level: int
    line: int
    prose: list[str] = field(default_factory=list)
    filled: bool = False  # it, or a section below it, has given a requirement
    own: bool = False  # it has given one itself
    shows: bool = False  # it holds an example: code is no requirement

    @property
    def whole(self) -> bool:
        """Whether the section is one requirement. What stands between the title and the first part introduces."""
        if self.level > 1 and self.filled:
            return bool(self.prose) and not self.own
        return not self.filled and bool(self.prose or (self.title and not self.shows))


class _Reader:
    """Walks the parser's tokens; sections are closed when the next one of their level begins."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sections = [_Section("", 0, 1)]
        self._head: list[str] = []
        self.found: list[Requirement] = []

    def read(self, tokens: Sequence[Token]) -> None:
        item_depth = 0
        for index, token in enumerate(tokens):
            match token.type:
                case "heading_open":
                    self._open(token, tokens[index + 1])
                case "list_item_open":
                    item_depth += 1
                case "list_item_close":
                    item_depth -= 1
                case "tr_open":
                    self._row(token, tokens[index + 1 :])
                case "fence":
                    self._sections[-1].shows = True
                case "paragraph_open":
                    self._text(tokens[index + 1], (token.map or [0])[0] + 1, in_list=item_depth > 0)
                case _:
                    pass
        self._close(0)
        self.found.sort(key=lambda requirement: int(requirement.at.rpartition(":")[2]))

    def _open(self, token: Token, inline: Token) -> None:
        level = int(token.tag[1])
        self._close(level)
        self._sections.append(_Section(_flat(_plain(inline)), level, (token.map or [0])[0] + 1))

    def _close(self, level: int) -> None:
        while self._sections and self._sections[-1].level >= level:
            section = self._sections[-1]
            if section.whole:
                text = ": ".join(part for part in (section.title, " ".join(section.prose)) if part)
                self._add(text, section.line)
            self._sections.pop()

    def _text(self, inline: Token, line: int, *, in_list: bool) -> None:
        text = _plain(inline)
        if in_list:
            if not _is_table_of_contents(inline):
                self._add(_flat(text), line)
            return
        for sentence, offset in _sentences(text):
            if _MODAL.search(sentence):
                self._add(_flat(sentence), line + offset)
        self._sections[-1].prose.append(_flat(text))

    def _row(self, token: Token, rest: Sequence[Token]) -> None:
        inside = itertools.takewhile(lambda t: t.type != "tr_close", rest)
        cells = [_flat(_plain(cell)) for cell in inside if cell.type == "inline"]
        if rest[0].type == "th_open":
            self._head = cells
            return
        told = [
            f"{head}: {cell}" if head else cell
            for head, cell in itertools.zip_longest(self._head, cells, fillvalue="")
            if cell
        ]
        self._add("; ".join(told), (token.map or [0])[0] + 1)

    def _add(self, text: str, line: int) -> None:
        if not any(char.isalpha() for char in text):
            return
        for section in self._sections:
            section.filled = True
        self._sections[-1].own = True
        titles = [section.title for section in self._sections if section.title]
        self.found.append(Requirement(at=f"{self._name}:{line}", section=" > ".join(titles), text=_shortened(text)))


def _plain(inline: Token) -> str:
    """The text of a paragraph, line ends as they are, code in its back-ticks."""
    parts = []
    for child in inline.children or ():
        match child.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "code_inline":
                parts.append(f"`{child.content}`")
            case "text" | "text_special":
                parts.append(child.content)
            case _:
                pass
    return "".join(parts)


def _sentences(text: str) -> Iterator[tuple[str, int]]:
    """Each sentence with the number of line ends before it."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[start : match.start()]):
            yield text[start : match.end()], text.count("\n", 0, start)
            start = match.end()
    if text[start:].strip():
        yield text[start:], text.count("\n", 0, start)


def _is_table_of_contents(inline: Token) -> bool:
    """Nothing but a link into the document itself."""
    children = [child for child in inline.children or () if child.content.strip() or child.type.startswith("link_")]
    if not children or children[0].type != "link_open" or children[-1].type != "link_close":
        return False
    return str(children[0].attrs.get("href", "")).startswith("#")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rpartition(' ')[0] or text[:_LONGEST]} …"
