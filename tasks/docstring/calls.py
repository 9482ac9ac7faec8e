"""What a definition refers to: what a function calls, a class is built on, a module defines."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.docstring.definitions import Definition, Function, dotted, own_nodes

_MANY = 64  # names of one definition that are looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``shown`` is how the code writes it; ``name`` what is to be looked up, where ``shown`` begins with a variable."""

    shown: str
    name: str


def references(definition: Definition) -> list[Reference]:
    """In the order of the code, each once."""
    node = definition.node
    found = _bases(node) if isinstance(node, ast.ClassDef) else _calls(node)
    return list({reference.shown: reference for reference in reversed(list(found))}.values())[::-1][:_MANY]


def class_named(annotation: ast.expr | None) -> str:
    """The class that an annotation names: ``X``, ``"X"``, ``X | None``, ``Optional[X]``; empty for anything else."""
    match annotation:
        case ast.Constant(value=str(text)) if all(part.isidentifier() for part in text.split(".")):
            return text
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return class_named(left)
        case ast.Subscript(value=value, slice=inner) if dotted(value).endswith("Optional"):
            return class_named(inner)
        case ast.Name() | ast.Attribute():
            return dotted(annotation)
        case _:
            return ""


def attributes(node: ast.ClassDef) -> dict[str, str]:
    """Attribute -> the class that its annotation, or what ``__init__`` puts there, names."""
    found: dict[str, str] = {}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = class_named(statement.annotation)
        elif isinstance(statement, Function) and statement.name == "__init__":
            types = _annotated(statement)
            for inner in own_nodes(statement):
                found.update(_kept(inner, types))
    return {name: type_ for name, type_ in found.items() if type_}


def _kept(node: ast.AST, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    match node:
        case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=attr), annotation=annotation):
            yield attr, class_named(annotation)
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=ast.Call() as call):
            yield attr, dotted(call)
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=ast.Name(id=name)):
            yield attr, types.get(name, "")
        case _:
            pass


def _bases(node: ast.ClassDef) -> Iterator[Reference]:
    for base in node.bases:
        name = dotted(base.value if isinstance(base, ast.Subscript) else base)
        if name:
            yield Reference(shown=name, name=name)


def _calls(node: Function) -> Iterator[Reference]:
    body = list(own_nodes(node))
    types = _annotated(node) | _made(body)
    bound = {arg.arg for arg in _args(node)} | {n.id for n in body if isinstance(n, ast.Name) and _is_stored(n)}
    for call in body:
        shown = _called(call) if isinstance(call, ast.Call) else ""
        head, _, rest = shown.partition(".")
        if head in {"self", "cls"} or (shown and head not in bound):
            yield Reference(shown=shown, name=shown)
        elif rest and types.get(head):
            yield Reference(shown=shown, name=f"{types[head]}.{rest}")


def _called(call: ast.Call) -> str:
    """``f``, ``a.b``, and ``Class.method`` of ``Class(...).method()``, ``super`` being the class above."""
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        owner = dotted(call.func.value)
        return f"{owner}.{call.func.attr}" if owner else ""
    return dotted(call)


def _made(body: list[ast.AST]) -> dict[str, str]:
    """Variables that are assigned once, a call's result: what was called, which may be a class."""
    found: dict[str, str] = {}
    times: dict[str, int] = {}
    for node in body:
        if isinstance(node, ast.Name) and _is_stored(node):
            times[node.id] = times.get(node.id, 0) + 1
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            found[dotted(node.targets[0])] = dotted(node.value)
    return {name: called for name, called in found.items() if times.get(name) == 1}


def _annotated(node: Function) -> dict[str, str]:
    return {arg.arg: class_named(arg.annotation) for arg in _args(node) if arg.annotation is not None}


def _args(node: Function) -> list[ast.arg]:
    args = node.args
    extra = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
