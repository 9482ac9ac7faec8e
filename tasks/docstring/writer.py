"""The rule-based writer: a whole answer from the facts alone. Offline, deterministic, and always acceptable."""

from tasks.docstring.accept import may_return
from tasks.docstring.answer import DocstringAnswer, ParamText, RaiseText
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts, Param
from tasks.docstring.lexicon import FUNCTIONS, YES_NO
from tasks.docstring.phrases import a, is_plural, is_verb, noun, said, sentence, split, the
from tasks.docstring.sayings import PARAMS, RAISES
from tasks.docstring.summary import summary_of

_FLAGS = frozenset({"True", "False"})


def write(facts: Facts) -> DocstringAnswer:
    """The docstring's fields from names, annotations, defaults and returned expressions."""
    return DocstringAnswer(
        summary=summary_of(facts),
        description=_description(facts),
        params=[ParamText(name=param.name, description=_param(param)) for param in facts.params],
        returns=_returns(facts),
        yields=_yields(facts) if facts.is_generator else None,
        raises=[RaiseText(type=r.type, condition=_condition(r.type, r.when)) for r in facts.raises],
    )


def _description(facts: Facts) -> str:
    if facts.existing:
        return ""
    if facts.is_async and not facts.is_generator and facts.callees:
        return "Must be awaited."
    return ""


def _param(param: Param) -> str:
    text = _meaning(param)
    default = param.default
    if default is None or default == "...":
        return text
    if default == "None":
        return text if "None" in text else f"{text[:-1]}, or None." if "," not in text else f"{text} May be None."
    return text if "`" in default else f"{text} Defaults to `{default}`."


def _meaning(param: Param) -> str:
    if param.kind == "var_positional":
        return PARAMS["args"] if param.name == "args" else sentence(f"any number of {_plural(noun(param.name))}")
    if param.kind == "var_keyword":
        return PARAMS["kwargs"] if param.name in {"kwargs", "kw"} else sentence(f"{noun(param.name)} by name")
    if param.name in PARAMS:
        return PARAMS[param.name]
    words = split(param.name)
    if param.annotation == "bool" or param.default in _FLAGS:
        return sentence(_flag(words))
    return sentence(_by_ending(words) if words[1:] else the(said(words) or "value"))


def _by_ending(words: list[str]) -> str:
    """A name of several words whose first or last word tells what it is."""
    if words[0] in {"n", "num", "count"}:
        return f"the number of {said(words[1:])}"
    if words[0] in {"max", "min"}:
        return f"the {'largest' if words[0] == 'max' else 'smallest'} {said(words[1:])} allowed"
    if words[-1] in FUNCTIONS:
        return f"the function for {said(words[:-1])}"
    if words[-1] == "cls":
        return f"the class of the {said(words[:-1])}"
    return the(said(words))


def _flag(words: list[str]) -> str:
    if words and words[0] in {"is", "has", "can", "should"}:
        return f"whether it {' '.join([words[0], said(words[1:])])}"
    if words and (words[0] in YES_NO or is_verb(words[0])):
        return f"whether to {said(words)}"
    return f"whether {the(said(words))} is on" if words else "whether it is on"


def _plural(text: str) -> str:
    if is_plural(text):
        return text
    return text[:-1] + "ies" if text.endswith("y") and text[-2:-1] not in "aeiou" else text + "s"


def _returns(facts: Facts) -> str | None:
    if not may_return(facts) or facts.thing == "property" or (facts.is_generator and not facts.has_return):
        return None
    annotation = (facts.returns or "").strip("'\"")
    if annotation == "bool" or (facts.values and set(facts.values) <= _FLAGS):
        return _truth(facts)
    if annotation in {"Self", "typing.Self"} or set(facts.values) == {"self"}:
        return "The object itself."
    text = _returned_value(facts, annotation)
    optional = "None" in facts.values or "None" in annotation
    return sentence(f"{text}, or None" if optional and "None" not in text else text)


def _truth(facts: Facts) -> str:
    if set(facts.values) == {"True"} or set(facts.values) == {"False"}:
        return f"Always {facts.values[0]}."
    words = split(facts.name)
    if words and words[0] in {"is", "has", "can", "should"} and len(words) > 1:
        return f"True if it {words[0]} {said(words[1:])}, False otherwise."
    return "True if so, False otherwise."


def _returned_value(facts: Facts, annotation: str) -> str:
    values = [value for value in facts.values if value != "None"]
    words = split(facts.name)
    if (
        words
        and words[0] in {"get", "fetch", "find", "load", "read", "create", "make", "build", "compute"}
        and words[1:]
    ):
        return the(said(words[1:]))
    if len(values) == 1:
        told = _expression(values[0])
        if told:
            return told
    if words and not is_verb(words[0]) and not facts.name.startswith("__"):
        return the(said(words))
    plain = last(annotation.split("[", maxsplit=1)[0].split("|", maxsplit=1)[0].strip())
    return a(f"`{plain}`") if plain.isidentifier() and plain not in {"None", "Any", "object"} else "the result"


def _expression(value: str) -> str:
    if value.startswith("self.") and value[5:].isidentifier():
        return the(noun(value[5:]))
    if (
        value.isidentifier()
        and len(value) > 2
        and value not in {"self", "cls", "True", "False", "result", "ret", "res"}
    ):
        return the(noun(value))
    called = value.partition("(")[0]
    if value.endswith(")") and called.isidentifier() and called[:1].isupper():
        return a(f"`{called}`")
    if value[:1] in "[{":
        return "a list" if value[0] == "[" else "a dictionary" if ":" in value or value == "{}" else "a set"
    return f"the result of `{called}`" if value.endswith(")") and called.replace(".", "").isidentifier() else ""


def _yields(facts: Facts) -> str:
    words = split(facts.name)
    if facts.decorators and any("contextmanager" in text for text in facts.decorators):
        return "Control to the body of the `with` statement."
    if len(facts.yields) == 1 and facts.yields[0].isidentifier():
        return sentence(f"each {noun(facts.yields[0])}")
    if words and is_plural(said(words)):
        return sentence(f"the {said(words[1:] if is_verb(words[0]) and words[1:] else words)}, one by one")
    return "The items, one by one."


def _condition(type_: str, when: str) -> str:
    return sentence(f"if {when}") if when else RAISES.get(last(type_), "If it cannot be done.")
