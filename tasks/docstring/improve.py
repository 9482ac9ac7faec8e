"""Extends a docstring that is there: every word of it stays, and only what it does not tell yet is added."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tasks.docstring.accept import must_return
from tasks.docstring.answer import DocstringAnswer
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts
from tasks.docstring.options import Style
from tasks.docstring.render import Section, sections

_STYLES: Mapping[Style, re.Pattern[str]] = MappingProxyType(
    {
        "numpy": re.compile(r"^(?:Parameters|Returns|Raises|Yields|Attributes)\n-{3,}$", re.MULTILINE),
        "google": re.compile(r"^(?:Args|Arguments|Returns|Raises|Yields|Attributes):$", re.MULTILINE),
        "sphinx": re.compile(r"^:(?:param|type|returns?|rtype|raises?)\b", re.MULTILINE),
        "epytext": re.compile(r"^@(?:param|type|return|rtype|raise)\b", re.MULTILINE),
    }
)
_SAME = {"Arguments:": "Args:", "Parameters:": "Args:"}


def lacks(facts: Facts) -> bool:
    """Whether the docstring that is there leaves something untold."""
    return bool(_params(facts) or _raises(facts) or _returns(facts) or _yields(facts))


def improved(answer: DocstringAnswer, facts: Facts, style: Style, width: int) -> str:
    """The old text with the missing entries: in the section that it has for them, else in one of their own."""
    added = answer.model_copy(
        update={
            "params": [p for p in answer.params if p.name in _params(facts)],
            "raises": [r for r in answer.raises if r.type in _raises(facts)],
            "returns": answer.returns if _returns(facts) else None,
            "yields": answer.yields if _yields(facts) else None,
        }
    )
    found = style_of(facts.existing) or style
    lines = facts.existing.splitlines()
    for section in sections(added, facts, found, width):
        lines = _with(lines, section, found)
    return "\n".join(lines)


def style_of(text: str) -> Style | None:
    """The style that a docstring's sections are written in; None when it has none."""
    return next((style for style, pattern in _STYLES.items() if pattern.search(text)), None)


def _with(lines: Sequence[str], section: Section, style: Style) -> list[str]:
    if style in {"sphinx", "epytext"}:
        gap = [] if style_of("\n".join(lines)) else [""]
        return [*lines, *gap, *section]
    heading = 1 if style == "google" else 2
    start = next((i for i, line in enumerate(lines) if _SAME.get(line, line) == section[0]), None)
    if start is None:
        return [*lines, "", *section]
    stop = _end(lines, start + heading, style)
    return [*lines[:stop], *section[heading:], *lines[stop:]]


def _end(lines: Sequence[str], start: int, style: Style) -> int:
    """The line behind a section's last entry."""
    stop = start
    for i in range(start, len(lines)):
        is_over = bool(lines[i]) and not lines[i][0].isspace() if style == "google" else not lines[i]
        if is_over:
            break
        stop = i + 1 if lines[i] else stop
    return stop


def _told(facts: Facts, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", facts.existing) is not None


def _params(facts: Facts) -> set[str]:
    return {param.name for param in facts.params if not _told(facts, param.name)}


def _raises(facts: Facts) -> set[str]:
    return {raised.type for raised in facts.raises if not _told(facts, last(raised.type))}


def _returns(facts: Facts) -> bool:
    return must_return(facts) and re.search(r"\breturn", facts.existing, re.IGNORECASE) is None


def _yields(facts: Facts) -> bool:
    return facts.is_generator and re.search(r"\byield", facts.existing, re.IGNORECASE) is None
