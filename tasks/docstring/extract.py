"""From a definition to its facts: signature, returns, yields, raises, and what surrounds it."""

import ast
from collections.abc import Iterator

from tasks.docstring.conditions import code
from tasks.docstring.definitions import Definition, Function, dotted, has_docstring, last, own_nodes
from tasks.docstring.facts import SUMMARY, Facts, Owner, Param, ParamKind, Thing
from tasks.docstring.raises import raised
from tasks.docstring.uses import uses

PROPERTIES = frozenset({"property", "cached_property", "abstractproperty", "hybrid_property"})
_DATA_BASES = frozenset({"NamedTuple", "TypedDict", "BaseModel"})
_CODE = 80  # characters of a default, an annotation or a returned expression that the facts keep
_MANY = 8


def facts_of(definition: Definition, module: ast.Module, docs: dict[str, str], *, init_in_class: bool) -> Facts:
    """What a definition's own file tells of it. ``docs``: first docstring lines by qualified name."""
    node = definition.node
    decorators = [text for text in (code(d, _CODE) for d in node.decorator_list) if text]
    common = {
        "qualname": definition.qualname,
        "decorators": decorators,
        "module_doc": first_line(ast.get_docstring(module)),
        "existing": (definition.docstring or "") if has_docstring(node) else "",
    }
    if isinstance(node, ast.ClassDef):
        return Facts(
            **common,
            thing="class",
            params=_class_params(node, init_in_class=init_in_class),
            bases=[text for text in (code(base) for base in node.bases) if text],
            methods=[s.name for s in node.body if isinstance(s, Function) and not s.name.startswith("_")][:30],
        )
    body = list(own_nodes(node))
    values = [n.value for n in body if isinstance(n, ast.Return) and n.value is not None]
    yields = [n for n in body if isinstance(n, ast.Yield | ast.YieldFrom)]
    return Facts(
        **common,
        thing=_thing(definition, node),
        is_async=isinstance(node, ast.AsyncFunctionDef),
        params=_params(definition, node, body),
        returns=None if node.returns is None else code(node.returns, _CODE) or None,
        values=_distinct(values),
        has_return=any(not _is_none(value) for value in values),
        is_generator=bool(yields),
        yields=_distinct([y.value for y in yields if y.value is not None]),
        raises=raised(node),
        owner=_owner(definition.owner, docs),
    )


def is_property(node: Function) -> bool:
    """Read like an attribute."""
    return any(last(dotted(d)) in PROPERTIES for d in node.decorator_list)


def _thing(definition: Definition, node: Function) -> Thing:
    if definition.owner is None:
        return "function"
    return "property" if is_property(node) else "method"


def _params(definition: Definition, node: Function, body: list[ast.AST]) -> list[Param]:
    found = list(_signature(node.args))
    static = any(last(dotted(d)) == "staticmethod" for d in node.decorator_list) and node.name != "__new__"
    if definition.owner is not None and not static and found and found[0].kind in {"positional", "positional_only"}:
        found = found[1:]
    told = uses(body, {param.name for param in found})
    return [param.model_copy(update={"use": told.get(param.name, "")}) for param in found]


def _signature(args: ast.arguments) -> Iterator[Param]:
    positional = [*args.posonlyargs, *args.args]
    missing = len(positional) - len(args.defaults)
    for i, arg in enumerate(positional):
        kind: ParamKind = "positional_only" if i < len(args.posonlyargs) else "positional"
        yield _param(arg, kind, args.defaults[i - missing] if i >= missing else None)
    if args.vararg:
        yield _param(args.vararg, "var_positional", None)
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _param(arg, "keyword", default)
    if args.kwarg:
        yield _param(args.kwarg, "var_keyword", None)


def _param(arg: ast.arg, kind: ParamKind, default: ast.expr | None) -> Param:
    return Param(
        name=arg.arg,
        kind=kind,
        annotation=None if arg.annotation is None else code(arg.annotation, _CODE) or None,
        default=None if default is None else code(default, _CODE) or "...",
    )


def _class_params(node: ast.ClassDef, *, init_in_class: bool) -> list[Param]:
    """A data class's fields; else, where ``__init__`` is told in the class, its parameters."""
    names = {last(dotted(d)) for d in node.decorator_list} | {last(dotted(b)) for b in node.bases}
    if "dataclass" in names or names & _DATA_BASES or names & {"define", "frozen", "attrs", "attr.s"}:
        return list(_fields(node))
    if not init_in_class:
        return []
    inits = [s for s in node.body if isinstance(s, Function) and s.name == "__init__"]
    return list(_signature(inits[-1].args))[1:] if inits else []


def _fields(node: ast.ClassDef) -> Iterator[Param]:
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        annotation = code(statement.annotation, _CODE)
        if statement.target.id.startswith("_") or "ClassVar" in annotation:
            continue
        default = None if statement.value is None else code(statement.value, _CODE) or "..."
        yield Param(name=statement.target.id, kind="field", annotation=annotation or None, default=default)


def _distinct(nodes: list[ast.expr]) -> list[str]:
    texts = (code(node, _CODE) for node in nodes[: 4 * _MANY])
    return list(dict.fromkeys(text for text in texts if text))[:_MANY]


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _owner(node: ast.ClassDef | None, docs: dict[str, str]) -> Owner | None:
    if node is None:
        return None
    bases = [text for text in (code(base) for base in node.bases) if text]
    return Owner(name=node.name, bases=bases, doc=first_line(ast.get_docstring(node)) or docs.get(node.name, ""))


def first_line(doc: str | None) -> str:
    """The first line of a docstring that says something, cut to a length that a prompt can carry."""
    return next((line.strip()[:SUMMARY] for line in (doc or "").splitlines() if line.strip()), "")
