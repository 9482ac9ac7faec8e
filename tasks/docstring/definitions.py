"""The functions and classes of a module, in document order, each with a name that is its own."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Node: TypeAlias = Function | ast.ClassDef

_BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A function or class. ``ordinal`` counts equal qualified names from 1, ``around`` goes from outside to inside."""

    node: Node
    qualname: str
    ordinal: int
    around: tuple[Node, ...]

    @property
    def owner(self) -> ast.ClassDef | None:
        """The class that this is a member of."""
        return self.around[-1] if self.around and isinstance(self.around[-1], ast.ClassDef) else None

    @property
    def is_local(self) -> bool:
        """Defined inside a function."""
        return any(not isinstance(node, ast.ClassDef) for node in self.around)

    @property
    def docstring(self) -> str | None:
        return ast.get_docstring(self.node, clean=True)


def definitions(tree: ast.Module) -> Iterator[Definition]:
    """All definitions, those in branches and in functions too. No recursion: nesting may be deep."""
    seen: Counter[str] = Counter()
    stack: list[tuple[ast.AST, tuple[Node, ...]]] = [(tree, ())]
    while stack:
        node, around = stack.pop()
        if isinstance(node, Node):
            qualname = ".".join([*(a.name for a in around), node.name])
            seen[qualname] += 1
            yield Definition(node=node, qualname=qualname, ordinal=seen[qualname], around=around)
            around = (*around, node)
        inner = [child for name in _BLOCKS for child in getattr(node, name, ()) if _may_hold(child)]
        stack.extend((child, around) for child in reversed(inner))


def has_docstring(node: Node | ast.Module) -> bool:
    """Whether the first statement is a docstring that says something."""
    found = docstring_node(node)
    return found is not None and bool(str(found.value).strip())


def docstring_node(node: Node | ast.Module) -> ast.Constant | None:
    """The docstring's constant, empty or not."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value
    return None


def own_nodes(node: Function) -> Iterator[ast.AST]:
    """What the function itself does: not what functions, lambdas and classes inside it do."""
    stack: list[ast.AST] = list(reversed(node.body))
    while stack:
        current = stack.pop()
        yield current
        if not isinstance(current, Node | ast.Lambda):
            stack.extend(reversed(list(ast.iter_child_nodes(current))))


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name or attribute chain; of a call, what is called; empty for anything else."""
    parts: list[str] = []
    current = node.func if isinstance(node, ast.Call) else node
    while isinstance(current, ast.Attribute):
        parts.append(current.attr)
        current = current.value
    if not isinstance(current, ast.Name):
        return ""
    return ".".join([current.id, *reversed(parts)])


def last(name: str) -> str:
    """The last part of a dotted name."""
    return name.rsplit(".", 1)[-1]


def _may_hold(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)
