"""Puts docstrings into source text. Everything else stays as it is, to the byte, because nothing else is touched:
the text is cut at one place a docstring, never parsed and printed again. Each result is verified all the same.

A concrete syntax tree (libcst) was measured first: it ends the process on call chains of some thousand links, gives up
on sums of five hundred terms, and prints lone carriage returns differently. Python's own tree tells the place.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.docstring import header, textfile
from tasks.docstring.definitions import Definition, Node, definitions, docstring_node, has_docstring
from tasks.docstring.essence import Essence
from tasks.docstring.guard import Guard, guard_of
from tasks.docstring.literal import literal

_TYPE_COMMENT = re.compile(r"[ \t]*# *type:")
_HEADER_END = re.compile(r"[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n)")
_BLANK_LINE = re.compile(r"[ \t\f]*(?:\r\n|\r|\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """A docstring for one definition; ``text`` without quotes and indentation. ``replace``: what is there may go."""

    qualname: str
    ordinal: int
    text: str
    line_length: int
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A docstring that was not inserted, and why."""

    qualname: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """The new text; ``done`` and ``present`` (that very docstring was there) name definitions."""

    text: str
    done: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    doc: Doc
    start: int
    stop: int
    text: str


def insert(file: textfile.TextFile, docs: Sequence[Doc]) -> Inserted:
    """Inserts what can be inserted safely. Raises UnreadableSource when the file does not parse."""
    tree = textfile.parse(file.text)
    places = _places(tree)
    guard = guard_of(tree)
    cutter = _Cutter(file)
    edits: list[_Edit] = []
    present: list[str] = []
    refused: list[Refusal] = []
    for doc in docs:
        place = places.get((doc.qualname, doc.ordinal))
        reason = "no such definition in the file" if place is None else _guarded(guard, place)
        if place is not None and not reason:
            if _docstring(place) == doc.text:
                present.append(doc.qualname)
                continue
            reason = _occupied(place, doc)
        if place is None or reason:
            refused.append(Refusal(qualname=doc.qualname, reason=reason))
        else:
            edits.append(cutter.edit(place, doc))
    good, bad = _verified(file, tree, edits)
    return Inserted(
        text=_applied(file.text, good),
        done=tuple(edit.doc.qualname for edit in good),
        present=tuple(present),
        refused=(*refused, *bad),
    )


def _places(tree: ast.Module) -> dict[tuple[str, int], Definition | ast.Module]:
    """By qualified name and ordinal; the module itself has no name."""
    return {("", 1): tree, **{(d.qualname, d.ordinal): d for d in definitions(tree)}}


def _docstring(place: Definition | ast.Module) -> str | None:
    return ast.get_docstring(place) if isinstance(place, ast.Module) else place.docstring


def _guarded(guard: Guard, place: Definition | ast.Module) -> str:
    return guard.module_reason if isinstance(place, ast.Module) else guard.reason(place)


def _occupied(place: Definition | ast.Module, doc: Doc) -> str:
    if not has_docstring(place if isinstance(place, ast.Module) else place.node):
        return ""
    if not doc.replace:
        return "has a docstring already"
    return "its docstring holds a doctest" if ">>>" in (_docstring(place) or "") else ""


class _Cutter:
    """Finds the place of a docstring in the text."""

    def __init__(self, file: textfile.TextFile) -> None:
        self._file = file
        self._lines = textfile.Lines(file.text)
        self._unit = "\t" if re.search(r"^\t", file.text, re.MULTILINE) else "    "

    def edit(self, place: Definition | ast.Module, doc: Doc) -> _Edit:
        if isinstance(place, ast.Module):
            return self._module(place, doc)
        existing = docstring_node(place.node)
        if existing is not None:
            return self._replacement(place.node, existing, doc)
        colon = self._colon(place.node)
        header_end = _HEADER_END.match(self._file.text, colon)
        if header_end is None:  # the body follows on the header's line, or after a backslash
            return self._unfolded(place.node, colon, doc)
        return self._line(place.node, header_end.end(), doc)

    def _module(self, tree: ast.Module, doc: Doc) -> _Edit:
        text = self._literal(doc, "")
        existing = docstring_node(tree)
        if existing is not None:
            start, stop = self._extent(existing)
            return _Edit(doc=doc, start=start, stop=stop, text=text)
        at = header.place(self._file.text, tree)
        return _Edit(doc=doc, start=at, stop=at, text=header.framed(self._file.text, at, text, self._file.newline))

    def _extent(self, node: ast.Constant) -> tuple[int, int]:
        start = self._lines.offset(node.lineno, node.col_offset)
        return start, self._lines.offset(node.end_lineno or 0, node.end_col_offset or 0)

    def _replacement(self, node: Node, existing: ast.Constant, doc: Doc) -> _Edit:
        start, stop = self._extent(existing)
        blank = self._lines.indentation(existing.lineno, existing.col_offset)
        indent = self._inner(node) if blank.strip() else blank
        return _Edit(doc=doc, start=start, stop=stop, text=self._literal(doc, indent))

    def _unfolded(self, node: Node, colon: int, doc: Doc) -> _Edit:
        indent, newline = self._inner(node), self._file.newline
        stop = self._lines.offset(node.body[0].lineno, node.body[0].col_offset)
        put = f"{newline}{indent}{self._literal(doc, indent)}{newline}{indent}"
        return _Edit(doc=doc, start=colon, stop=stop, text=put)

    def _line(self, node: Node, at: int, doc: Doc) -> _Edit:
        if _TYPE_COMMENT.match(self._file.text, at):  # must stay right behind the header
            at = _line_end(self._file.text, at)
        first, newline = node.body[0], self._file.newline
        indent = self._lines.indentation(first.lineno, first.col_offset)
        gap = newline if isinstance(node, ast.ClassDef) and not _BLANK_LINE.match(self._file.text, at) else ""
        return _Edit(doc=doc, start=at, stop=at, text=f"{indent}{self._literal(doc, indent)}{newline}{gap}")

    def _literal(self, doc: Doc, indent: str) -> str:
        return literal(doc.text, indent, doc.line_length, self._file.newline)

    def _inner(self, node: Node) -> str:
        return self._lines.indentation(node.lineno, node.col_offset) + self._unit

    def _colon(self, node: Node) -> int:
        """The index behind the colon that ends the header: only brackets and comments come before it."""
        ends = [
            (part.end_lineno or 0, part.end_col_offset or 0) for part in _header(node) if hasattr(part, "end_lineno")
        ]
        line, column = max(ends, default=(node.lineno, node.col_offset))
        at = self._lines.offset(line, column)
        while self._file.text[at] != ":":
            at = _line_end(self._file.text, at) if self._file.text[at] == "#" else at + 1
        return at + 1


def _header(node: Node) -> list[ast.expr | ast.arg]:
    found: list[ast.expr | ast.arg] = []
    if isinstance(node, ast.ClassDef):
        found += [*node.bases, *(keyword.value for keyword in node.keywords)]
    else:
        args = node.args
        found += [*args.posonlyargs, *args.args, *args.kwonlyargs, *args.defaults, *filter(None, args.kw_defaults)]
        found += [arg for arg in (args.vararg, args.kwarg, node.returns) if arg is not None]
    return [*found, *getattr(node, "type_params", ())]


def _line_end(text: str, at: int) -> int:
    found = re.compile(r"\r\n|\r|\n").search(text, at)
    return found.end() if found else len(text)


def _applied(text: str, edits: Sequence[_Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: e.start):
        parts += [text[at : edit.start], edit.text]
        at = edit.stop
    return "".join([*parts, text[at:]])


def _verified(file: textfile.TextFile, tree: ast.Module, edits: list[_Edit]) -> tuple[list[_Edit], list[Refusal]]:
    """All at once as a rule; when that fails, one by one, so that one bad place costs nobody else a docstring."""
    original = Essence.of(file.text, tree)
    if not _problem(file, original, edits):
        return edits, []
    good: list[_Edit] = []
    bad: list[Refusal] = []
    for edit in edits:
        problem = _problem(file, original, [edit]) or _problem(file, original, [*good, edit])
        if problem:
            bad.append(Refusal(qualname=edit.doc.qualname, reason=problem))
        else:
            good.append(edit)
    return good, bad


def _problem(file: textfile.TextFile, original: Essence, edits: Sequence[_Edit]) -> str:
    """Why the edited file would not be the same program with these docstrings; empty when it is."""
    text = _applied(file.text, edits)
    try:
        file.encode(text)
        tree = textfile.parse(text)
        found = {key: _docstring(place) for key, place in _places(tree).items()}
        if Essence.of(text, tree) != original:
            return "the code around it would change"
    except UnicodeEncodeError:
        return f"the file's encoding ({file.encoding}) lacks a character of the docstring"
    except textfile.UnreadableSource as exc:
        return f"the file would not parse any more: {exc}"
    wrong = [e.doc for e in edits if found.get((e.doc.qualname, e.doc.ordinal)) != e.doc.text]
    return "the docstring would not read as it was written" if wrong else ""
