"""From an answer's fields to a docstring's text, in five styles. The text has no quotes and no indentation."""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from tasks.docstring.answer import DocstringAnswer
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts, Param
from tasks.docstring.options import Style
from tasks.docstring.wrap import glue, paragraph, prose

_QUOTES = 4  # r""" before the first line
_STEP = "    "
_ANY = "object"  # numpydoc wants a type line; this one is never wrong
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_YIELDED = re.compile(r"^(?:\w+\.)*(?:Async)?(?:Iterator|Iterable|Generator)\[(.+)\]$")

Section: TypeAlias = list[str]


def render(answer: DocstringAnswer, facts: Facts, style: Style, width: int) -> str:
    """The docstring's text, at most ``width`` columns wide where words allow it."""
    mark = _MARKS[style]
    lines = paragraph(mark(answer.summary), width - _QUOTES)
    if style == "pep257":
        return "\n".join(lines)
    blocks = [prose(mark(answer.description), width)] if answer.description else []
    blocks += [section for section in _SECTIONS[style](answer, facts, width) if section]
    for block in blocks:
        lines += ["", *block]
    return "\n".join(lines)


def sections(answer: DocstringAnswer, facts: Facts, style: Style, width: int) -> list[Section]:
    """The sections alone, to go after a text that is there already."""
    return [] if style == "pep257" else [section for section in _SECTIONS[style](answer, facts, width) if section]


def yielded(annotation: str | None) -> str | None:
    """What a generator's annotation says of one element."""
    found = _YIELDED.match(annotation or "")
    if found is None:
        return None
    depth = 0
    for i, char in enumerate(found[1]):
        depth += (char in "[(") - (char in "])")
        if char == "," and not depth:
            return found[1][:i]
    return found[1]


def _params(answer: DocstringAnswer, facts: Facts) -> Iterator[tuple[Param, str]]:
    texts = {p.name: p.description for p in answer.params}
    return ((param, texts[param.name]) for param in facts.params if param.name in texts)


def _heading(facts: Facts, arguments: str) -> str:
    return "Attributes" if any(p.kind == "field" for p in facts.params) else arguments


def _outcomes(answer: DocstringAnswer, facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    """Returns and yields, with the type that the annotation gives."""
    if answer.returns and facts.thing != "property":
        yield "Returns", None if facts.is_generator else facts.returns, answer.returns
    if answer.yields:
        yield "Yields", yielded(facts.returns), answer.yields


def _google(answer: DocstringAnswer, facts: Facts, width: int) -> Iterator[Section]:
    params = [
        (param.shown + (f" ({param.annotation})" if _is_plain(param.annotation) else ""), text)
        for param, text in _params(answer, facts)
    ]
    yield _entries(_heading(facts, "Args"), params, width)
    for heading, type_, text in _outcomes(answer, facts):
        # Without a type in front, a colon in the text would be read as one.
        typed = type_ if type_ and _is_plain(type_) else ""
        yield _entries(heading, [(typed, text if typed else _no_colon(text))], width)
    yield _entries("Raises", [(r.type, r.condition) for r in answer.raises], width)


def _entries(heading: str, entries: list[tuple[str, str]], width: int) -> Section:
    lines = [f"{heading}:"] if entries else []
    for name, text in entries:
        marked = _backticks(text)
        rest = _STEP * 2 if name else _STEP
        lines += paragraph(f"{glue(name)}: {marked}" if name else marked, width, first=_STEP, rest=rest)
    return lines


def _is_plain(annotation: str | None) -> bool:
    # A colon inside (a literal) would end the name.
    return bool(annotation) and ":" not in (annotation or "")


def _no_colon(text: str) -> str:
    return re.sub(r":(?=\s)", " -", text)


def _numpy(answer: DocstringAnswer, facts: Facts, width: int) -> Iterator[Section]:
    params = [
        (param.shown + (f" : {param.annotation}" if param.annotation else ""), text)
        for param, text in _params(answer, facts)
    ]
    yield _underlined(_heading(facts, "Parameters"), params, width)
    for heading, type_, text in _outcomes(answer, facts):
        yield _underlined(heading, [(type_ or _ANY, text)], width)
    yield _underlined("Raises", [(r.type, r.condition) for r in answer.raises], width)


def _underlined(heading: str, entries: list[tuple[str, str]], width: int) -> Section:
    lines = [heading, "-" * len(heading)] if entries else []
    for name, text in entries:
        lines += [name, *paragraph(_double(text), width, first=_STEP, rest=_STEP)]
    return lines


def _sphinx(answer: DocstringAnswer, facts: Facts, width: int) -> Iterator[Section]:
    yield _fields(":", "ivar" if _heading(facts, "") else "param", "raises", answer, facts, width)


def _epytext(answer: DocstringAnswer, facts: Facts, width: int) -> Iterator[Section]:
    yield _fields("@", "ivar" if _heading(facts, "") else "param", "raise", answer, facts, width)


def _fields(sign: str, param_tag: str, raise_tag: str, answer: DocstringAnswer, facts: Facts, width: int) -> Section:
    mark = _double if sign == ":" else _epytext_markup
    type_tag = "vartype" if param_tag == "ivar" else "type"
    found: list[tuple[str, str]] = []
    for param, text in _params(answer, facts):
        name = param.shown if sign == ":" else param.name
        found.append((f"{param_tag} {name}", text))
        if param.annotation:
            found.append((f"{type_tag} {name}", param.annotation))
    for heading, type_, text in _outcomes(_told_once(answer) if sign == "@" else answer, facts):
        tag, tag_type = _OUTCOME_TAGS[sign][heading]
        found.append((tag, text))
        if type_:
            found.append((tag_type, type_))
    # Epytext readers take a plain name there, no dotted one.
    found += [(f"{raise_tag} {r.type if sign == ':' else last(r.type)}", r.condition) for r in answer.raises]
    lines: Section = []
    for tag, text in found:
        lines += paragraph(f"{sign}{tag}: {mark(text)}", width, rest=_STEP)
    return lines


def _told_once(answer: DocstringAnswer) -> DocstringAnswer:
    """Epytext readers take either what is returned or what is yielded, never both."""
    if not (answer.yields and answer.returns):
        return answer
    return answer.model_copy(update={"yields": f"{answer.yields} In the end: {answer.returns}", "returns": None})


def _backticks(text: str) -> str:
    return text


def _double(text: str) -> str:
    return _CODE.sub(r"``\1``", text)


def _epytext_markup(text: str) -> str:
    escaped = re.sub(r"[{}]", lambda brace: "E{lb}" if brace.group() == "{" else "E{rb}", text)
    return _CODE.sub(r"C{\1}", escaped.replace("``", "`"))


_OUTCOME_TAGS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        ":": {"Returns": ("returns", "rtype"), "Yields": ("yields", "ytype")},
        "@": {"Returns": ("return", "rtype"), "Yields": ("yield", "ytype")},
    }
)
_MARKS: Mapping[Style, Callable[[str], str]] = MappingProxyType(
    {"google": _backticks, "numpy": _double, "sphinx": _double, "epytext": _epytext_markup, "pep257": _backticks}
)
_SECTIONS: Mapping[Style, Callable[[DocstringAnswer, Facts, int], Iterator[Section]]] = MappingProxyType(
    {"google": _google, "numpy": _numpy, "sphinx": _sphinx, "epytext": _epytext}
)
