"""What a function does with each of its parameters, where one short phrase tells it."""

import ast
from collections.abc import Iterable

from tasks.docstring.definitions import dotted, last

_SAYS_NOTHING = frozenset(
    {"isinstance", "len", "str", "repr", "print", "hasattr", "getattr", "bool", "int", "super", "type", "id", "list"}
    | {"dict", "set", "tuple", "iter", "next", "range", "cast", "warn", "format", "append", "callable", "issubclass"}
)


def uses(nodes: Iterable[ast.AST], params: set[str]) -> dict[str, str]:
    """Parameter -> "kept as `self.x`", "passed to `f`" or "iterated over"; the first in this order counts."""
    kept: dict[str, str] = {}
    passed: dict[str, str] = {}
    looped: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            name, target = _itself(node.value), dotted(node.targets[0])
            if name in params and target.startswith("self.") and isinstance(node.targets[0], ast.Attribute):
                kept.setdefault(name, f"kept as `{target}`")
        elif isinstance(node, ast.Call):
            _note_passed(node, params, passed)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and _itself(node.iter) in params:
            looped.setdefault(_itself(node.iter), "iterated over")
    return {**looped, **passed, **kept}


def _note_passed(call: ast.Call, params: set[str], passed: dict[str, str]) -> None:
    called = dotted(call.func)
    if not called or last(called) in _SAYS_NOTHING or len(called) > 40:
        return
    for arg in [*call.args, *(keyword.value for keyword in call.keywords)]:
        inner = arg.value if isinstance(arg, ast.Starred) else arg
        name = _itself(inner)
        if name in params and called.partition(".")[0] not in params:
            passed.setdefault(name, f"passed to `{called}`")


def _itself(node: ast.expr) -> str:
    """The name, also of ``name or default``."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return _itself(node.values[0])
    return node.id if isinstance(node, ast.Name) else ""
