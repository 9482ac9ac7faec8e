"""A summary line from a definition's name, in the imperative for functions, as a noun phrase for the rest."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts
from tasks.docstring.lexicon import BARE, DOING, FOR, HANDLERS, ON_PARAM, PARTICLES, PREDICATES, PREPOSITIONS
from tasks.docstring.phrases import a, is_plural, is_verb, noun, said, sentence, split, the, third_person, verb
from tasks.docstring.sayings import DUNDER, OPERATORS, WHOLE

_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
_PLAIN_BASES = frozenset({"object", "ABC", "Protocol"})
_PLURALS = {"is": "are", "was": "were", "has": "have", "does": "do", "needs": "need", "supports": "support"}
_LIMIT = 72


def summary_of(facts: Facts) -> str:
    """One line, ending with a period."""
    if facts.thing == "class":
        return _class(facts)
    if facts.thing == "property":
        return _property(facts)
    if facts.thing == "module":
        return _module(facts)
    return _fitting(facts, _known(facts) or _function(facts))


def _fitting(facts: Facts, text: str) -> str:
    if len(text) <= _LIMIT:
        return text
    words = split(facts.name)
    commands = bool(words) and is_verb(words[0])
    plain = sentence(f"{verb(words[0])} {said(words[1:])}" if commands else f"handle {said(words)}")
    return plain if len(plain) <= _LIMIT else sentence(f"{verb(words[0]) if commands else 'handle'} the case")


def _owner(facts: Facts) -> str:
    return f"the {noun(facts.owner.name)}" if facts.owner else "it"


def _known(facts: Facts) -> str:
    """Special methods, operators and names that mean the same everywhere."""
    name = facts.name
    if name in DUNDER:
        return DUNDER[name].format(it=noun(facts.owner.name) if facts.owner else "object")
    if name in WHOLE:
        return WHOLE[name].format(it=_owner(facts))
    if not (name.startswith("__") and name.endswith("__")):
        return ""
    bare = name[2:-2]
    found = OPERATORS.get(bare) or OPERATORS.get(bare[1:])  # __radd__, __iadd__
    return f"Return the {found} with the other operand." if found else ""


def _function(facts: Facts) -> str:
    words = split(facts.name)
    if not words:
        return "Handle the call."
    rule = _BY_FIRST_WORD.get(words[0])
    if rule is not None and words[1:]:
        return sentence(rule(words, facts))
    if is_verb(words[0]):
        return sentence(_command(words, facts))
    return sentence(_thing(words, facts))


def _predicate(words: list[str], facts: Facts) -> str:
    subject = _first_param(facts) if facts.params else _owner(facts)
    verb_ = _PLURALS.get(words[0], words[0]) if is_plural(subject) else words[0]
    return f"tell whether {subject} {verb_} {said(words[1:])}"


def _conversion(words: list[str], _: Facts) -> str:
    return f"convert to {a(said(words[1:]))}"


def _creation(words: list[str], _: Facts) -> str:
    return f"create an instance from {a(said(words[1:]))}"


def _event(words: list[str], _: Facts) -> str:
    return f"handle {the(said(words[1:]))}" + ("" if words[-1] == "event" else " event")


def _time(words: list[str], _: Facts) -> str:
    return f"do what is due {'before' if words[0] in {'pre', 'before'} else 'after'} {the(said(words[1:]))}"


def _number(words: list[str], _: Facts) -> str:
    return f"return the number of {said(words[1:])}"


def _maybe(words: list[str], facts: Facts) -> str:
    return f"{_command(words[1:], facts) if is_verb(words[1]) else f'handle {the(said(words[1:]))}'} if needed"


def _test(words: list[str], _: Facts) -> str:
    return f"test {said(words[1:])}"


_BY_FIRST_WORD: Mapping[str, Callable[[list[str], Facts], str]] = MappingProxyType(
    {
        **dict.fromkeys(PREDICATES, _predicate),
        **dict.fromkeys(("to", "as", "into"), _conversion),
        **dict.fromkeys(("pre", "before", "post", "after"), _time),
        **dict.fromkeys(("num", "n"), _number),
        "maybe": _maybe,
        "from": _creation,
        "on": _event,
        "test": _test,
    }
)


def _command(words: list[str], facts: Facts) -> str:
    head, rest = verb(words[0]), words[1:]
    if rest and rest[0] in PARTICLES:
        head, rest = f"{head} {rest[0]}", rest[1:]
    if words[0] in FOR and rest[:1] != ["for"]:
        head += " for"
    if not rest and head == "get" and facts.params:
        return f"get the value for {_first_param(facts)}"
    if not rest or rest[0] in PREPOSITIONS:
        own = facts.owner and not (head in ON_PARAM and facts.params)
        return _phrase(f"{head} {_owner(facts) if own else _first_param(facts)}", rest)
    cut = next((i for i, word in enumerate(rest) if i and word in PREPOSITIONS), len(rest))
    return _phrase(f"{head} {the(said(rest[:cut]))}", rest[cut:])


def _phrase(start: str, tail: list[str]) -> str:
    """``start`` and what follows it from a preposition on."""
    if not tail:
        return start
    inner = said(tail[1:])
    if not inner:
        return f"{start} {tail[0]} it"
    return f"{start} {tail[0]} {inner if tail[0] in BARE else the(inner)}"


def _first_param(facts: Facts) -> str:
    named = [p for p in facts.params if p.kind in {"positional", "positional_only"}]
    return the(noun(named[0].name)) if named else "the work"


def _thing(words: list[str], facts: Facts) -> str:
    """A function whose name is no command: what it gives is what it is called."""
    text = the(said(words))
    if facts.is_generator:
        return f"yield {text}" if is_plural(text) else f"yield {text} items"
    if words[1:] and words[-1] in HANDLERS:
        return f"handle {the(said(words[:-1]))}"
    promised = (facts.returns or "None") != "None" or any(r.type == "NotImplementedError" for r in facts.raises)
    if facts.has_return or promised:
        return f"return {text}"
    return f"handle {text}"


def _property(facts: Facts) -> str:
    words = split(facts.name)
    if words[1:] and words[0] in PREDICATES:
        return sentence(f"whether it {words[0]} {said(words[1:])}")
    return sentence(the(said(words) or facts.name))


def _module(facts: Facts) -> str:
    words = split(facts.name)
    if facts.name == "__main__":
        return "The package's entry point."
    if words[1:] and (words[0] == "test" or words[-1] in {"test", "tests"}):
        return sentence(f"tests of {said(words[1:] if words[0] == 'test' else words[:-1])}")
    return sentence(said(words) or "a module")


def _class(facts: Facts) -> str:
    it, words = noun(facts.name), split(facts.name)
    ending = _CLASS_ENDINGS.get(words[-1]) if words[1:] else None
    if ending is not None:
        return sentence(ending(said(words[:-1])))
    if words[1:] and (words[0] in DOING or words[-1] in DOING):
        done, rest = (words[0], words[1:]) if words[0] in DOING else (words[-1], words[:-1])
        return sentence(f"{third_person(done)} {the(said(rest)) if is_plural(said(rest)) else a(said(rest))}")
    bases = [base for base in facts.bases if last(base) not in _PLAIN_BASES and "[" not in base]
    if any(last(base) in _ENUMS for base in bases):
        return sentence(the(it) if is_plural(it) else f"the kinds of {it}")
    if any(param.kind == "field" for param in facts.params):
        return sentence(f"data of {a(it)}")
    one = it if is_plural(it) else a(it)
    text = sentence(f"{one}, built on `{bases[0]}`" if bases else one)
    return text if len(text) <= _LIMIT else sentence(one)


_CLASS_ENDINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "error": lambda rest: f"signals {a(rest + ' error')}",
        "exception": lambda rest: f"signals {a(rest + ' error')}",
        "warning": lambda rest: f"warns of {rest}",
        "mixin": lambda rest: f"adds {rest} behaviour to a class",
        "test": lambda rest: f"tests of {rest}",
        "tests": lambda rest: f"tests of {rest}",
        "handler": lambda rest: f"handles {rest}",
    }
)
