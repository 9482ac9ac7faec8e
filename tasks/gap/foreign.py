"""Symbols of other languages than Python, found line by line: a name and its line, where a parser would be too much."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.gap.facts import Symbol
from tasks.gap.symbols import clipped

_LONGEST = 160
_COMMENT = re.compile(r"^\s*(?://+!?|#+|--+|/\*+|\*+)\s?(?P<text>.*?)\s*(?:\*/)?\s*$")
_NAME = r"(?P<name>[A-Za-z_$][\w$]*)"
_EXPORT = r"^\s*(?:export\s+)?(?:default\s+)?(?:declare\s+)?"
_MODIFIERS = (
    r"^\s*(?:(?:public|protected|internal|private|static|final|abstract|sealed|open|override|virtual|async|data|partial"
    r"|readonly|suspend|inline|extern)\s+)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    kind: str
    line: re.Pattern[str]


def _patterns(**lines: str) -> tuple[_Pattern, ...]:
    return tuple(
        _Pattern(kind=kind, line=re.compile(line, re.IGNORECASE if kind in _SQL else 0)) for kind, line in lines.items()
    )


_SQL = frozenset({"table", "view", "routine", "index"})
_SCRIPT = _patterns(
    function=_EXPORT + r"(?:async\s+)?function\s*\*?\s*" + _NAME + r"\s*[<(]",
    type=_EXPORT + r"(?:abstract\s+)?(?:class|interface|enum|type|namespace)\s+" + _NAME,
    constant=r"^(?:export\s+)?(?:const|let|var)\s+" + _NAME + r"\s*[:=]",
    method=r"^\s+(?:(?:public|protected|private|static|async|readonly|get|set)\s+)*(?!(?:if|for|while|switch|catch|return|function|new|await|throw)\b)"
    + _NAME
    + r"\s*\([^;]*\)\s*(?::\s*[^={;]+)?\{\s*$",
)
_GO = _patterns(
    function=r"^func\s+(?:\([^)]*\)\s*)?" + _NAME + r"\s*[\[(]",
    type=r"^type\s+" + _NAME + r"\s",
    constant=r"^(?:const|var)\s+" + _NAME + r"\b",
)
_RUST = _patterns(
    function=r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:(?:async|unsafe|const|extern\s+\"\w+\")\s+)*fn\s+" + _NAME,
    type=r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|type|union)\s+" + _NAME,
    constant=r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const|static)\s+(?:mut\s+)?" + _NAME + r"\s*:",
)
_JVM = _patterns(
    type=_MODIFIERS + r"(?:class|interface|enum|record|struct|object|trait|protocol|extension)\s+" + _NAME,
    function=_MODIFIERS + r"(?:fun|func|def)\s+(?:<[^>]*>\s*)?(?:[\w<>?]+\.)?" + _NAME + r"\s*[<(]",
    method=r"^\s+(?:(?:public|protected|internal|private|static|final|abstract|override|virtual|async|synchronized)\s+)+"
    r"[\w<>\[\],.? ]*\b" + _NAME + r"\s*\(",
)
_C = _patterns(
    type=r"^\s*(?:typedef\s+)?(?:struct|class|enum|union|namespace)\s+" + _NAME + r"\s*[^;]*$",
    constant=r"^\s*#\s*define\s+" + _NAME + r"\s+\S",
    function=r"^(?!\s*(?:return|else|typedef|using|#)\b)(?:[A-Za-z_][\w:<>,]*[\s*&]+)+(?:\w+::)?"
    + _NAME
    + r"\s*\([^;]*$",
)
_RUBY = _patterns(
    type=r"^\s*(?:class|module)\s+" + _NAME,
    function=r"^\s*def\s+(?:self\.)?" + _NAME,
    constant=r"^\s*(?P<name>[A-Z][A-Z\d_]+)\s*=",
)
_PHP = _patterns(
    type=_MODIFIERS + r"(?:class|interface|trait|enum)\s+" + _NAME, function=_MODIFIERS + r"function\s+&?" + _NAME
)
_SHELL = _patterns(function=r"^\s*(?:function\s+)?" + _NAME + r"\s*\(\)\s*\{?")
_CREATE = r"^\s*create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unique\s+|materialized\s+)*"
_SQL_NAME = r"(?:if\s+not\s+exists\s+)?(?:[\"`\[]?\w+[\"`\]]?\.)?[\"`\[]?(?P<name>\w+)"
_SQLS = _patterns(
    table=_CREATE + r"table\s+" + _SQL_NAME,
    view=_CREATE + r"view\s+" + _SQL_NAME,
    routine=_CREATE + r"(?:function|procedure|trigger)\s+" + _SQL_NAME,
)

LANGUAGES: Mapping[str, tuple[_Pattern, ...]] = {
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx"), _SCRIPT),
    ".go": _GO,
    ".rs": _RUST,
    **dict.fromkeys((".java", ".kt", ".kts", ".cs", ".scala", ".swift"), _JVM),
    **dict.fromkeys((".c", ".h", ".cc", ".cpp", ".cxx", ".hpp"), _C),
    ".rb": _RUBY,
    ".php": _PHP,
    **dict.fromkeys((".sh", ".bash"), _SHELL),
    ".sql": _SQLS,
}
"""How the languages that are read line by line write their definitions, by file suffix."""


def foreign_symbols(text: str, name: str, suffix: str, *, private: bool) -> Iterator[Symbol]:
    """The definitions that a file's lines tell. Raises KeyError for a suffix of no known language."""
    patterns = LANGUAGES[suffix]
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = ((pattern, match) for pattern in patterns if (match := pattern.line.match(line[:1_000])))
        pattern, match = next(found, (None, None))
        if pattern is None or match is None or (match["name"].startswith("_") and not private):
            continue
        yield Symbol(
            at=f"{name}:{number + 1}",
            kind=pattern.kind,
            name=match["name"],
            signature=clipped(line.strip().rstrip("{").strip(), _LONGEST),
            summary=_comment_above(lines, number),
            uses="",
        )


def _comment_above(lines: list[str], number: int) -> str:
    """The comment that ends on the line before, first line first."""
    told: list[str] = []
    for line in reversed(lines[max(0, number - 8) : number]):
        match = _COMMENT.match(line)
        if match is None:
            break
        told.insert(0, match["text"])
    return clipped(" ".join(told), _LONGEST)
