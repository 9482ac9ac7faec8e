"""Where a module's docstring goes: behind shebang, encoding and other comments, before the first statement."""

import ast
import re

from tasks.docstring import textfile

_COMMENTS = re.compile(r"(?:[ \t\f]*#[^\r\n]*(?:\r\n|\r|\n|\Z))+")
_BLANK = re.compile(r"[ \t\f]*(?:\r\n|\r|\n|\Z)")


def place(text: str, tree: ast.Module) -> int:
    """The index in the text. Comments right above the first statement stay with it, unless they open the file."""
    first = _first(text, tree)
    runs = list(_COMMENTS.finditer(text, 0, first)) if tree.body else []
    return runs[-1].start() if len(runs) > 1 and runs[-1].end() == first else first


def framed(text: str, at: int, literal: str, newline: str) -> str:
    """The literal on lines of its own, with an empty one before what follows."""
    before = newline if at and text[at - 1] not in "\r\n" else ""
    gap = "" if _BLANK.match(text, at) else newline
    return f"{before}{literal}{newline}{gap}"


def _first(text: str, tree: ast.Module) -> int:
    """Where the first statement's line begins; the text's end where there is none."""
    if not tree.body:
        return len(text)
    node = tree.body[0]
    lines = [node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]
    return textfile.Lines(text).start_of(min(lines))
