"""The insertion against a concrete syntax tree: on files that libcst can handle, both give the same bytes."""

import random
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.docstring import textfile
from tasks.docstring.definitions import Definition, definitions, docstring_node
from tasks.docstring.guard import guard_of
from tasks.docstring.insert import Doc, insert
from tasks.docstring.literal import literal

cst: Any = pytest.importorskip("libcst", reason="a development dependency, for comparison only")

TEXT = "Do it.\n\nArgs:\n    x: Whatever `x` is."
LARGEST = 40_000  # bytes; libcst takes its time
FILES = 40


def corpus() -> list[Path]:
    """A seeded choice of the standard library's and the installed packages' files."""
    found: list[Path] = []
    for name in ("stdlib", "purelib"):
        top = Path(sysconfig.get_path(name))
        files = sorted(p for p in top.rglob("*.py") if name == "purelib" or "site-packages" not in p.parts)
        usable = [path for path in files if 500 < path.stat().st_size < LARGEST]
        found += random.Random(11).sample(usable, min(FILES // 2, len(usable)))
    return found


def blocks(file: textfile.TextFile) -> Mapping[int, tuple[Definition, str]]:
    """Position among the file's definitions -> those without a docstring whose body is a block, and its indentation."""
    tree, lines = textfile.parse(file.text), textfile.Lines(file.text)
    guard = guard_of(tree)
    found: dict[int, tuple[Definition, str]] = {}
    for position, definition in enumerate(definitions(tree)):
        first = definition.node.body[0]
        line = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))])
        indent = lines.indentation(first.lineno, first.col_offset)
        blank = file.text[lines.start_of(line) :].startswith(indent) and not indent.strip()
        free = docstring_node(definition.node) is None and not guard.reason(definition)
        if blank and free and line > definition.node.lineno:
            found[position] = (definition, indent)
    return found


def with_libcst(file: textfile.TextFile, indents: Mapping[int, str]) -> tuple[str, set[int]]:
    """The text, and the positions that libcst takes for blocks as well."""
    done: set[int] = set()

    class Inserter(cst.CSTTransformer):  # type: ignore[misc] # libcst is imported only where it is installed
        def __init__(self) -> None:
            super().__init__()
            self.count, self.open = 0, list[int]()

        def visit_FunctionDef(self, node: Any) -> None:  # noqa: N802 - libcst calls it so
            self.open.append(self.count)
            self.count += 1

        visit_ClassDef = visit_FunctionDef  # noqa: N815 - likewise

        def leave_FunctionDef(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802 - likewise
            position = self.open.pop()
            if position not in indents or not isinstance(updated_node.body, cst.IndentedBlock):
                return updated_node
            done.add(position)
            first, *rest = updated_node.body.body
            follows_blank = bool(first.leading_lines) and first.leading_lines[0].comment is None
            if isinstance(original_node, cst.ClassDef) and not follows_blank:
                first = first.with_changes(leading_lines=[cst.EmptyLine(indent=False), *first.leading_lines])
            string = cst.SimpleString(literal(TEXT, indents[position], 88, file.newline))
            put = cst.SimpleStatementLine([cst.Expr(string)])
            return updated_node.with_changes(body=updated_node.body.with_changes(body=[put, first, *rest]))

        leave_ClassDef = leave_FunctionDef  # noqa: N815 - likewise

    return cst.parse_module(file.text).visit(Inserter()).code, done


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.name)
def test_both_give_the_same_bytes(path: Path) -> None:
    try:
        file = textfile.decode(path.read_bytes())
        wanted = blocks(file)
        reference, done = with_libcst(file, {position: indent for position, (_, indent) in wanted.items()})
    except (textfile.UnreadableSource, cst.ParserSyntaxError):
        return  # broken on purpose, or for another Python
    if "# type: (" in file.text:
        return  # a type comment stays right behind its header here; libcst would put the docstring before it
    docs = [
        Doc(qualname=wanted[n][0].qualname, ordinal=wanted[n][0].ordinal, text=TEXT, line_length=88)
        for n in sorted(done)
    ]
    inserted = insert(file, docs)
    assert not inserted.refused
    assert inserted.text == reference
