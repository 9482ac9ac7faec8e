"""Which exceptions leave a function by its own ``raise`` statements, and when."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tasks.docstring.conditions import words
from tasks.docstring.definitions import Function, Node, dotted, last
from tasks.docstring.facts import Raised
from tasks.docstring.phrases import listed

_NO_PROSE = re.compile(r'[`\\"{}%_]|\b(?:TODO|FIXME|XXX)\b', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What surrounds a statement: the nearest condition, what is caught there, and the handler that it is in."""

    when: str = ""
    caught: frozenset[str] = frozenset()
    handled: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # variable -> exception types


def raised(function: Function) -> list[Raised]:
    """In the order of the code, one entry a type; the first condition, or else message, that can be said counts."""
    found: dict[str, Raised] = {}
    for one in _walk(function):
        known = found.get(one.type, one)
        found[one.type] = Raised(type=one.type, when=known.when or one.when, message=known.message or one.message)
    return list(found.values())


def _walk(function: Function) -> Iterator[Raised]:
    # An explicit stack: an elif chain nests as deep as it is long.
    start = _Place(names=_assigned(function))
    stack: list[tuple[ast.stmt, _Place]] = [(s, start) for s in reversed(function.body)]
    while stack:
        statement, place = stack.pop()
        if isinstance(statement, ast.Raise):
            types = [t for t in _types(statement.exc, place) if not _is_caught(t, place.caught)]
            yield from (Raised(type=t, when=place.when, message=_message(statement.exc)) for t in types)
        elif not isinstance(statement, Node):
            stack.extend(reversed(list(_inside(statement, place))))


def _message(exc: ast.expr | None) -> str:
    args = exc.args if isinstance(exc, ast.Call) else []
    told = args[0].value if args and isinstance(args[0], ast.Constant) else None
    if not isinstance(told, str):
        return ""
    plain = 3 < len(told) <= 60 and told.isprintable() and not _NO_PROSE.search(told)
    return f'"{told}"' if plain else ""


def _inside(statement: ast.stmt, place: _Place) -> Iterator[tuple[ast.stmt, _Place]]:
    match statement:
        case ast.If(test=test, body=body, orelse=orelse) | ast.While(test=test, body=body, orelse=orelse):
            yield from ((s, replace(place, when=words(test))) for s in body)
            yield from ((s, replace(place, when=words(test, holds=False))) for s in orelse)
        case ast.Try() | ast.TryStar():
            yield from _inside_try(statement, place)
        case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
            caught = place.caught.union(*(_suppressed(item.context_expr) for item in items))
            yield from ((s, replace(place, caught=caught)) for s in body)
        case ast.For(body=body, orelse=orelse) | ast.AsyncFor(body=body, orelse=orelse):
            yield from ((s, place) for s in [*body, *orelse])
        case ast.Match(cases=cases):
            yield from ((s, replace(place, when="")) for case in cases for s in case.body)
        case _:
            pass


def _inside_try(statement: ast.Try | ast.TryStar, place: _Place) -> Iterator[tuple[ast.stmt, _Place]]:
    handlers = [(handler, _handler_types(handler)) for handler in statement.handlers]
    caught = place.caught.union(*(types for _, types in handlers))
    yield from ((s, replace(place, caught=caught)) for s in statement.body)
    for handler, types in handlers:
        names = dict(place.names) | ({handler.name: types} if handler.name else {})
        said = listed([f"`{t}`" for t in types], "or") if types else ""
        inner = replace(place, handled=types, names=names, when=f"{said} occurs inside" if said else place.when)
        yield from ((s, inner) for s in handler.body)
    yield from ((s, place) for s in [*statement.orelse, *statement.finalbody])


def _types(exc: ast.expr | None, place: _Place) -> Iterator[str]:
    if exc is None:
        yield from (t for t in place.handled if t != "BaseException")
    elif isinstance(exc, ast.IfExp):
        yield from _types(exc.body, place)
        yield from _types(exc.orelse, place)
    elif isinstance(exc, ast.Call) and isinstance(exc.func, ast.Attribute) and exc.func.attr == "with_traceback":
        yield from _types(exc.func.value, place)
    elif isinstance(exc, ast.Name) and exc.id in place.names:
        yield from place.names[exc.id]
    else:
        name = dotted(exc)
        if _is_class_name(name):
            yield name


def _assigned(function: Function) -> Mapping[str, tuple[str, ...]]:
    """Variables that hold an exception made here: ``error = ValueError(...)``, raised later."""
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            name = dotted(node.value)
            if _is_class_name(name) and (last(name).endswith(("Error", "Exception")) or _builtin(name)):
                known = found.get(node.targets[0].id, ())
                found[node.targets[0].id] = (*known, name)
    return found


def _handler_types(handler: ast.ExceptHandler) -> tuple[str, ...]:
    if handler.type is None:
        return ("BaseException",)
    nodes = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return tuple(name for name in map(dotted, nodes) if name and _is_class_name(name))


def _suppressed(manager: ast.expr) -> set[str]:
    if isinstance(manager, ast.Call) and last(dotted(manager)) == "suppress":
        return {name for name in map(dotted, manager.args) if name}
    return set()


def _is_caught(type_: str, caught: frozenset[str]) -> bool:
    if type_ in caught or "BaseException" in caught:
        return True
    if "Exception" in caught and type_ not in {"SystemExit", "KeyboardInterrupt", "GeneratorExit"}:
        return True
    raised_class = _builtin(type_)
    above = (_builtin(name) for name in caught)
    return raised_class is not None and any(a is not None and issubclass(raised_class, a) for a in above)


def _builtin(name: str) -> type[BaseException] | None:
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _is_class_name(name: str) -> bool:
    return last(name).lstrip("_")[:1].isupper()
