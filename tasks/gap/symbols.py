"""The symbols of Python code: functions, methods, classes and constants, each with what a reader would skim first."""

import ast
from collections.abc import Iterator

from tasks.docstring import textfile
from tasks.docstring.definitions import Definition, Function, definitions, dotted, last
from tasks.gap.facts import Symbol

_LONGEST_SIGNATURE = 160
_LONGEST_SUMMARY = 160
_MOST_USES = 10
_CONSTANT = 60


def python_symbols(text: str, name: str, *, private: bool) -> Iterator[Symbol]:
    """All symbols of a module, constants first. Raises textfile.UnreadableSource."""
    tree = textfile.parse(text)
    yield from _constants(tree, name, private=private)
    for definition in definitions(tree):
        if _is_told(definition, private=private):
            yield _symbol(definition, name)


def clipped(text: str, longest: int) -> str:
    """One line, at most so long."""
    flat = " ".join(text.replace("\0", "").encode("utf-8", "replace").decode().split())
    return flat if len(flat) <= longest else f"{flat[: longest - 2]} …"


def _constants(tree: ast.Module, name: str, *, private: bool) -> Iterator[Symbol]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and (private or not target.id.startswith("_")):
                shown = _unparsed(value, _CONSTANT) if isinstance(value, ast.expr) else ""
                yield Symbol(
                    at=f"{name}:{node.lineno}",
                    kind="constant",
                    name=target.id,
                    signature=f"= {shown}" if shown else "",
                    summary="",
                    uses="",
                )


def _is_told(definition: Definition, *, private: bool) -> bool:
    names = [*(node.name for node in definition.around), definition.node.name]
    if definition.is_local or any(part.startswith("__") and part.endswith("__") for part in names):
        return False
    if not private and any(part.startswith("_") for part in names):
        return False
    marks = {last(dotted(decorator)) for decorator in definition.node.decorator_list}
    return not marks & {"overload", "setter", "deleter"}


def _symbol(definition: Definition, name: str) -> Symbol:
    node = definition.node
    if isinstance(node, ast.ClassDef):
        signature, uses = _class_signature(node), _members(node)
    else:
        signature, uses = _signature(node), _uses(node)
    return Symbol(
        at=f"{name}:{node.lineno}",
        kind=_kind(definition),
        name=definition.qualname,
        signature=signature,
        summary=clipped((definition.docstring or "").strip().partition("\n\n")[0], _LONGEST_SUMMARY),
        uses=", ".join(uses),
    )


def _kind(definition: Definition) -> str:
    if isinstance(definition.node, ast.ClassDef):
        return "class"
    if definition.owner is None:
        return "function"
    marks = {last(dotted(decorator)) for decorator in definition.node.decorator_list}
    return "property" if marks & {"property", "cached_property"} else "method"


def _signature(node: Function) -> str:
    arguments = _unparsed(node.args, _LONGEST_SIGNATURE)
    returns = f" -> {_unparsed(node.returns, _CONSTANT)}" if node.returns else ""
    return f"({_without_self(arguments)}){returns}"


def _class_signature(node: ast.ClassDef) -> str:
    """How it is made, where it says so; else what it derives from."""
    made = next((n for n in node.body if isinstance(n, Function) and n.name == "__init__"), None)
    if made is not None:
        return _signature(made)
    bases = ", ".join(_unparsed(base, _CONSTANT) for base in node.bases)
    return f"({bases})" if bases else ""


def _without_self(arguments: str) -> str:
    first, comma, rest = arguments.partition(", ")
    return (rest if comma else "") if first in {"self", "cls"} else arguments


def _members(node: ast.ClassDef) -> list[str]:
    fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    methods = [f"{n.name}()" for n in node.body if isinstance(n, Function) and not n.name.startswith("_")]
    return [*fields, *methods][:_MOST_USES]


def _uses(node: ast.AST) -> list[str]:
    """What the body calls and raises, each once, in the order of the tree."""
    found: dict[str, None] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and inner.exc is not None and (raised := dotted(inner.exc)):
            found.pop(f"{raised}()", None)
            found[f"raises {raised}"] = None
        elif isinstance(inner, ast.Call) and (called := dotted(inner)) and f"raises {called}" not in found:
            found[f"{called.removeprefix('self.')}()"] = None
    return list(found)[:_MOST_USES]


def _unparsed(node: ast.AST, longest: int) -> str:
    try:
        return clipped(ast.unparse(node), longest)
    except (RecursionError, ValueError):  # nested beyond what the unparser follows
        return "…"
