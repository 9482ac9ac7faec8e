"""What a parameter is for, from its name, its default and its use."""

from tasks.docstring.facts import Param
from tasks.docstring.lexicon import FUNCTIONS, YES_NO
from tasks.docstring.phrases import is_plural, is_verb, noun, plural, said, sentence, split, the
from tasks.docstring.sayings import PARAMS

_FLAGS = frozenset({"True", "False"})
_ADJECTIVE = ("ent", "ant", "ive", "ed", "able", "ible", "ous", "ic", "ict", "ful", "al", "ose", "iet", "only")


def param_text(param: Param) -> str:
    """One or two sentences."""
    text = _meaning(param)
    if param.use:
        text = f"{text[:-1]}, {param.use}."
    if param.default is None or param.default == "..." or "`" in param.default:
        return text
    if param.default in {"None", "True", "False"}:
        return f"{text} Defaults to {param.default}."
    return f"{text} Defaults to `{param.default}`."


def _meaning(param: Param) -> str:
    if param.kind == "var_positional":
        return PARAMS["args"] if param.name == "args" else sentence(f"any number of {plural(noun(param.name))}")
    if param.kind == "var_keyword":
        known = param.name in {"kwargs", "kw", "options"}
        return PARAMS["kwargs"] if known else sentence(f"{plural(noun(param.name))} by name")
    if param.name in PARAMS:
        return PARAMS[param.name]
    words = split(param.name)
    if param.annotation == "bool" or param.default in _FLAGS:
        return sentence(_flag(words))
    return sentence(_by_ending(words) if words[1:] else the(said(words) or "value"))


def _by_ending(words: list[str]) -> str:
    """A name of several words whose first or last word tells what it is."""
    rest = said(words[1:])
    if words[0] in {"n", "num", "count"}:
        return f"the number of {rest}"
    if words[0] in {"max", "min"}:
        extreme = "highest" if words[0] == "max" else "lowest"
        return f"the {extreme} {'number of ' if is_plural(rest.split(' in ')[0]) else ''}{rest} allowed"
    if words[-1] in FUNCTIONS:
        return f"the function for {said(words[:-1])}"
    if words[-1] == "cls":
        return f"the class of the {said(words[:-1])}"
    return the(said(words))


def _flag(words: list[str]) -> str:
    if not words:
        return "whether it is on"
    if words[0] in {"is", "has", "can", "should"} and words[1:]:
        return f"whether it {words[0]} {said(words[1:])}"
    if words[0] in YES_NO or is_verb(words[0]):
        return f"whether to {said(words)}"
    if len(words) == 1 and words[0].endswith(_ADJECTIVE):
        return f"whether it is {words[0]}"
    return f"whether {said(words)} is on"
