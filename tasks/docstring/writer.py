"""The rule-based writer: a whole answer from the facts alone. Offline, deterministic, and always acceptable."""

from tasks.docstring.answer import DocstringAnswer, ParamText, RaiseText
from tasks.docstring.definitions import last
from tasks.docstring.facts import Facts, Raised
from tasks.docstring.outcome import returns_text, yields_text
from tasks.docstring.parameters import param_text
from tasks.docstring.phrases import listed, sentence
from tasks.docstring.sayings import RAISES
from tasks.docstring.summary import summary_of

_FEW = 6


def write(facts: Facts) -> DocstringAnswer:
    """The docstring's fields from names, annotations, defaults, uses and returned expressions."""
    return DocstringAnswer(
        summary=summary_of(facts),
        description=_description(facts),
        params=[ParamText(name=param.name, description=param_text(param)) for param in facts.params],
        returns=returns_text(facts),
        yields=yields_text(facts) if facts.is_generator else None,
        raises=[RaiseText(type=r.type, condition=_condition(r)) for r in facts.raises],
    )


def _description(facts: Facts) -> str:
    fields = any(param.kind == "field" for param in facts.params)
    if facts.thing in {"class", "module"} and facts.methods and not fields:
        shown = [f"`{name}`" for name in facts.methods[:_FEW]]
        more = ["more"] if len(facts.methods) > _FEW else []
        return f"Provides {listed([*shown, *more])}."
    return ""


def _condition(raised: Raised) -> str:
    if raised.when:
        return sentence(f"if {raised.when}")
    if raised.message:
        return f"If it fails with the message {raised.message}."
    return RAISES.get(last(raised.type), "If it cannot be done.")
