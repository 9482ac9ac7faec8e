"""reStructuredText without adornments, directives' marks, options and comments; roles and links keep their text."""

import re
from collections.abc import Iterator

from tasks.embedding.lines import Line

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_TABLE_RULE = re.compile(r"\s*[=+-][=+\- ]{2,}\s*$")
_EXPLICIT = re.compile(r"(?P<indent>\s*)\.\.(?:\s+(?P<rest>.*?))?\s*$")
_DIRECTIVE = re.compile(r"(?:\|[^|]+\|\s+)?(?P<name>[A-Za-z][\w:+.-]*)::(?:\s+(?P<text>.*))?$")
_FOOTNOTE = re.compile(r"\[[^\]]+\]\s+(?P<text>.*)$")
_OPTION = re.compile(r"\s+:[\w -]+:(\s|$)")

_SILENT = frozenset({"contents", "figure", "highlight", "image", "include", "index", "meta", "raw", "toctree", "only"})
_UNSAID = frozenset({"code", "code-block", "sourcecode", "parsed-literal", "math", "list-table", "csv-table"})

_INLINE = re.compile(
    r"``(?P<code>.+?)``"
    r"|:[A-Za-z][\w:+.-]*:`[!~]?(?P<role>[^`<]+?)(?:\s*<[^`>]*>)?`"
    r"|`(?P<link>[^`<]+?)\s*<[^`>]+>`_{1,2}"
    r"|`(?P<named>[^`]+)`_{0,2}"
    r"|\*\*(?P<strong>[^*]+)\*\*"
)


def lines(pieces: Iterator[str]) -> Iterator[Line]:
    """Cleaned lines; a line that is underlined is a heading."""
    held: Line | None = None
    for line in _without_explicit_markup(pieces):
        if _ADORNMENT.match(line):
            if held is not None:
                yield Line(held.text, heading=not held.blank and not held.text[0].isspace())
            held = None
        elif not _TABLE_RULE.match(line):
            if held is not None:
                yield held
            held = Line(_inline(line))
    if held is not None:
        yield held


def _without_explicit_markup(pieces: Iterator[str]) -> Iterator[str]:
    skipped: int | None = None  # the indent of a block whose deeper lines are not read by people
    options = False
    for piece in pieces:
        if skipped is not None and (not piece.strip() or _indent(piece) > skipped):
            continue
        if skipped is not None:
            yield "\n"
        skipped = None
        if options and _OPTION.match(piece):
            continue
        options = False
        found = _EXPLICIT.match(piece)
        if found is None:
            yield piece
            continue
        said = _said(found["rest"] or "")
        if said is None:
            skipped = len(found["indent"])
        else:
            options = True
            yield f"{found['indent']}{said}\n"


def _said(rest: str) -> str | None:
    """What a reader sees of an explicit markup's first line; None: nothing, neither of its body."""
    if directive := _DIRECTIVE.match(rest):
        name = directive["name"]
        if name in _SILENT:
            return None
        return "" if name in _UNSAID else (directive["text"] or "")
    footnote = _FOOTNOTE.match(rest)
    return footnote["text"] if footnote else None


def _indent(piece: str) -> int:
    return len(piece) - len(piece.lstrip())


def _inline(text: str) -> str:
    if "`" not in text and "**" not in text:
        return text
    return _INLINE.sub(_kept, text)


def _kept(match: re.Match[str]) -> str:
    return next((part for part in match.groups() if part is not None), "")
