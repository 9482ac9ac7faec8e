"""A summary line from a definition's name, in the imperative for functions, as a noun phrase for the rest."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tasks.docstring.facts import Facts
from tasks.docstring.phrases import a, is_plural, is_verb, noun, said, sentence, split, the, verb
from tasks.docstring.sayings import DUNDER, OPERATORS, WHOLE

_PREDICATES = frozenset(
    {"is", "has", "can", "should", "needs", "supports", "allows", "contains", "was", "are", "does", "will"}
)
_PREPOSITIONS = frozenset({"by", "for", "from", "in", "into", "of", "on", "to", "with", "as", "at", "over", "per", "via", "without", "until", "after", "before", "if", "and", "or", "when"})  # fmt: skip
_LIMIT = 72


def summary_of(facts: Facts) -> str:
    """One line, ending with a period."""
    if facts.thing == "class":
        return _class(facts)
    if facts.thing == "property":
        return _property(facts)
    return _fitting(facts, _function(facts))


def _fitting(facts: Facts, text: str) -> str:
    if len(text) <= _LIMIT:
        return text
    words = split(facts.name)
    return sentence(f"{verb(words[0])} {said(words[1:])}" if is_verb(words[0]) else f"handle {said(words)}")


def _function(facts: Facts) -> str:
    it = f"the {noun(facts.owner.name)}" if facts.owner else "it"
    name = facts.name
    if name in DUNDER:
        return DUNDER[name].format(it=noun(facts.owner.name) if facts.owner else "object")
    if name in WHOLE:
        return WHOLE[name].format(it=it)
    operator = name.strip("_").removeprefix("r") if name not in OPERATORS else ""
    operator = name.strip("_") if name.strip("_") in OPERATORS else operator
    if (name.startswith("__") and operator.removeprefix("i") in OPERATORS) or (
        name.startswith("__") and operator in OPERATORS
    ):
        found = OPERATORS.get(operator) or OPERATORS[operator.removeprefix("i")]
        return f"Return the {found} with the other operand."
    words = split(name)
    if not words:
        return "Handle the call."
    patterned = _patterned(words, facts, it)
    if patterned:
        return patterned
    if is_verb(words[0]):
        return sentence(_command(words, facts, it))
    return _named_thing(words, facts)


def _patterned(words: list[str], facts: Facts, it: str) -> str:
    first, rest = words[0], words[1:]
    if first in _PREDICATES and rest:
        return sentence(f"tell whether {it if facts.owner else 'it'} {first} {said(rest)}")
    if first in {"to", "as", "into"} and rest:
        return sentence(f"convert to {a(said(rest))}")
    if first == "from" and rest:
        return sentence(f"create an instance from {a(said(rest))}")
    if first in {"on", "handle"} and rest:
        return sentence(f"handle {the(said(rest))}" + (" event" if first == "on" else ""))
    if first in {"before", "after", "pre", "post"} and rest and first in {"pre", "post", "before", "after"}:
        return sentence(f"do what is due {'before' if first in {'pre', 'before'} else 'after'} {the(said(rest))}")
    if first == "test" and rest:
        return sentence(f"test {said(rest)}")
    if first in {"num", "count", "n"} and rest:
        return sentence(f"return the number of {said(rest)}")
    return ""


def _command(words: list[str], facts: Facts, it: str) -> str:
    head, rest = verb(words[0]), words[1:]
    if not rest:
        return f"{head} {it}" if facts.owner else f"{head} {_object(facts)}"
    if rest[0] in _PREPOSITIONS:
        target = f" {it}" if facts.owner else f" {_object(facts)}"
        tail = said(rest[1:])
        return (
            f"{head}{target} {rest[0]} {the(tail) if tail and rest[0] not in {'as', 'if', 'when'} else tail}".rstrip()
        )
    cut = next((i for i, word in enumerate(rest) if i and word in _PREPOSITIONS), len(rest))
    obj, tail = said(rest[:cut]), rest[cut:]
    text = f"{head} {the(obj)}"
    if len(tail) > 1:
        inner = said(tail[1:])
        text += f" {tail[0]} {inner if tail[0] in {'as', 'if', 'and', 'or', 'when'} else the(inner)}"
    elif tail:
        text += f" {tail[0]} it"
    return text


def _object(facts: Facts) -> str:
    named = [p for p in facts.params if p.kind in {"positional", "positional_only"}]
    return the(noun(named[0].name)) if named else "the work"


def _named_thing(words: list[str], facts: Facts) -> str:
    if facts.is_generator:
        return sentence(f"yield {the(said(words))}" + ("" if is_plural(said(words)) else " items"))
    if facts.has_return or (facts.returns or "None") != "None":
        return sentence(f"return {the(said(words))}")
    return sentence(f"handle {the(said(words))}")


def _property(facts: Facts) -> str:
    words = split(facts.name)
    if words and words[0] in _PREDICATES and len(words) > 1:
        return sentence(f"whether it {words[0]} {said(words[1:])}")
    return sentence(the(said(words) or facts.name))


def _class(facts: Facts) -> str:
    name, it = facts.name, noun(facts.name)
    bases = [base for base in facts.bases if base not in {"object", "ABC", "abc.ABC", "Protocol"} and "[" not in base]
    for ends, phrase in _CLASS_ENDS.items():
        words = split(name)
        if words and words[-1] in ends.split("|") and len(words) > 1:
            return sentence(phrase(said(words[:-1]), words[-1]))
    if any(base.rsplit(".", 1)[-1] in {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"} for base in bases):
        return sentence(f"the kinds of {it}" if not is_plural(it) else f"the {it}")
    if any(p.kind == "field" for p in facts.params):
        return sentence(f"data of {a(it)}")
    text = sentence(a(it) + (f", built on `{bases[0]}`" if bases else ""))
    return text if len(text) <= _LIMIT else sentence(a(it))


_CLASS_ENDS: Mapping[str, Callable[[str, str], str]] = MappingProxyType(
    {
        "error|exception": lambda rest, _: f"signals {a(rest + ' error')}",
        "warning": lambda rest, _: f"warns of {rest}",
        "mixin": lambda rest, _: f"adds {rest} behaviour to a class",
        "test|tests": lambda rest, _: f"tests of {rest}",
        "handler": lambda rest, _: f"handles {rest}",
    }
)
