"""What a function returns or yields, from its name, its annotation and the expressions behind ``return``."""

import ast

from tasks.docstring.accept import may_return
from tasks.docstring.conditions import words as condition
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts
from tasks.docstring.lexicon import PREDICATES
from tasks.docstring.phrases import a, is_plural, is_verb, noun, said, sentence, split, the

_TRUTH = frozenset({"True", "False"})
_NAMELESS = frozenset(
    {"self", "cls", "True", "False", "result", "results", "ret", "res", "rv", "value", "val", "out", "_"}
)
_WRAPPERS = frozenset({"inner", "wrapper", "wrapped", "decorator", "decorated", "_inner", "_wrapper", "wraps"})
_UNTOLD = frozenset({"None", "Any", "object", "Optional"})  # annotations
_LITERALS: dict[type[ast.expr], str] = {
    ast.List: "a list",
    ast.ListComp: "a list",
    ast.Dict: "a dictionary",
    ast.DictComp: "a dictionary",
    ast.Set: "a set",
    ast.SetComp: "a set",
    ast.Tuple: "a tuple",
    ast.JoinedStr: "a string",
    ast.GeneratorExp: "an iterator",
    ast.Lambda: "a function",
}


def returns_text(facts: Facts) -> str | None:
    """One sentence; None where the code returns nothing, or the summary says it."""
    if not may_return(facts) or facts.thing == "property" or (facts.is_generator and not facts.has_return):
        return None
    annotation = (facts.returns or "").strip("'\"")
    values = [value for value in facts.values if value != "None"]
    if annotation == "bool" or (values and set(values) <= _TRUTH) or split(facts.name)[:1] in _PREDICATE_STARTS:
        return _truth(facts, values)
    if last(annotation) == "Self" or set(values) == {"self"}:
        return "The object itself."
    text = _by_name(facts) or (_by_value(values[0]) if len(values) == 1 else "") or _by_annotation(facts, annotation)
    optional = len(values) < len(facts.values) or "None" in annotation
    return sentence(f"{text}, or None" if optional and "None" not in text else text)


def yields_text(facts: Facts) -> str:
    """One sentence."""
    words = split(facts.name)
    if any("contextmanager" in text for text in facts.decorators):
        return "Control to the body of the `with` statement."
    if len(facts.yields) == 1 and facts.yields[0].isidentifier() and facts.yields[0] not in _NAMELESS:
        return sentence(f"each {noun(facts.yields[0])}")
    if words and is_plural(said(words)):
        return sentence(f"the {said(words[1:] if is_verb(words[0]) and words[1:] else words)}, one by one")
    return "The items, one by one."


_PREDICATE_STARTS = [[word] for word in sorted(PREDICATES)]
_GIVERS = frozenset({"get", "fetch", "find", "load", "read", "create", "make", "build", "compute", "calculate"})


def _truth(facts: Facts, values: list[str]) -> str:
    if len(set(values)) == 1:
        if values[0] in _TRUTH:
            return f"Always {values[0]}."
        tree = _parsed(values[0])
        said_ = condition(tree) if tree is not None else ""
        if said_:
            return f"True if {said_}, False otherwise."
    words = split(facts.name)
    if words[1:] and words[0] in PREDICATES:
        return f"True if it {words[0]} {said(words[1:])}, False otherwise."
    return "True if so, False otherwise."


def _by_name(facts: Facts) -> str:
    words = split(facts.name)
    return the(said(words[1:])) if words[1:] and words[0] in _GIVERS else ""


def _by_value(value: str) -> str:
    if value in _WRAPPERS:
        return "the wrapped function"
    if value.removeprefix("self.").isidentifier():
        name = value.removeprefix("self.")
        return the(noun(name)) if len(name) > 2 and name not in _NAMELESS else ""
    tree = _parsed(value)
    if isinstance(tree, ast.Call):
        return _called(tree)
    if isinstance(tree, ast.Compare | ast.UnaryOp) and condition(tree):
        return f"whether {condition(tree)}"
    known = _LITERALS.get(type(tree)) if tree is not None else None
    return known or (f"the value of `{value}`" if len(value) <= 60 else "")


def _called(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    if len(name) > 50 or not name.replace(".", "").replace("_", "a").isalnum():
        return ""
    if name in {"cls", "type(self)", "self.__class__"}:
        return "a new instance"
    is_class = last(name)[:1].isupper() and not last(name).isupper()
    return a(f"`{name}`") if is_class else f"what `{name}` returns"


def _by_annotation(facts: Facts, annotation: str) -> str:
    words = split(facts.name)
    if words and not is_verb(words[0]) and not facts.name.startswith("__"):
        return the(said(words))
    plain = last(annotation.partition("[")[0].partition("|")[0].strip())
    return (
        a(f"`{plain}`") if plain.isidentifier() and plain not in {"None", "Any", "object", "Optional"} else "the result"
    )


def _parsed(value: str) -> ast.expr | None:
    try:
        return ast.parse(value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
