"""The rule-based writer: findings from shared words alone. It says how it came to them, and claims no more."""

import re
from collections.abc import Sequence

from tasks.gap.answer import Finding, GapAnswer, Status
from tasks.gap.facts import Payload, Requirement, Symbol
from tasks.gap.match import weights
from tasks.gap.terms import named, stem, terms

_COVERED, _PARTIAL = 0.6, 0.25
_MOST = 3
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
_SHOWN = 6


def write(payload: Payload) -> GapAnswer:
    """An answer that passes this kind's own acceptance, for any payload."""
    if payload.task == "module":
        told = [set(terms(requirement.text)) for requirement in payload.requirements]
        unspoken = [symbol for symbol in payload.symbols if not any(_speaks(t, symbol) for t in told)]
        # Two names may be bound on one line: a place is cited once.
        return GapAnswer(findings=[_undocumented(symbol) for symbol in {s.at: s for s in unspoken}.values()])
    requirement = next((r for r in payload.requirements if r.at == payload.subject), payload.requirements[0])
    return GapAnswer(findings=[_finding(requirement, payload.symbols)])


def _finding(requirement: Requirement, symbols: Sequence[Symbol]) -> Finding:
    wanted = list(dict.fromkeys(terms(requirement.text)))
    best = _best(requirement, wanted, symbols)
    if not best:
        return _of(requirement, Status.MISSING, [], "No given symbol shares a telling word with the requirement.")
    other = _contradiction(requirement, wanted, symbols)
    if other is not None:
        return _of(requirement, Status.CONTRADICTED, [other], f"`{_short(other)}` has another value than is asked for.")
    shared = [term for term in wanted if any(term in weights(symbol) for symbol in best)]
    by_name = any(_is_named(symbol, requirement) for symbol in best)
    share = 1.0 if by_name and len(shared) * 2 >= len(wanted) else len(shared) / max(1, len(wanted))
    if share < _PARTIAL and not by_name:
        words = _words(requirement, shared)
        return _of(requirement, Status.MISSING, [], f"Of the requirement's words the symbols share only {words}.")
    status = Status.COVERED if share >= _COVERED else Status.PARTIAL
    told = ", ".join(f"`{_short(symbol)}`" for symbol in best)
    text = f"{told}: {len(shared)} of {len(wanted)} telling words of the requirement are shared."
    return _of(requirement, status, best, text)


def _best(requirement: Requirement, wanted: Sequence[str], symbols: Sequence[Symbol]) -> list[Symbol]:
    """The symbols that share most, best first."""
    scores = {
        index: sum(found.get(term, 0.0) for term in wanted) + 10 * _is_named(symbol, requirement)
        for index, symbol in enumerate(symbols)
        for found in [weights(symbol)]
    }
    ranked = sorted((index for index in scores if scores[index] > 0), key=lambda index: (-scores[index], index))
    return [symbols[index] for index in ranked[:_MOST]]


def _contradiction(requirement: Requirement, wanted: Sequence[str], symbols: Sequence[Symbol]) -> Symbol | None:
    """A constant whose name the requirement speaks of, with a number that it does not give."""
    asked = set(_NUMBER.findall(requirement.text))
    if not asked:
        return None
    for symbol in symbols:
        value = _NUMBER.findall(symbol.signature)
        own = set(terms(symbol.name))
        if symbol.kind == "constant" and len(own) > 1 and own <= set(wanted) and value and not asked & set(value):
            return symbol
    return None


def _undocumented(symbol: Symbol) -> Finding:
    what = f"The {symbol.kind} `{_short(symbol)}` shares no telling word of its name with any given requirement."
    return Finding(status=Status.UNDOCUMENTED, design=[], code=[symbol.at], explanation=what)


def _speaks(told: set[str], symbol: Symbol) -> bool:
    """Half of its name's words, or of what its docstring says, are in the requirement."""
    for text in (symbol.name, symbol.summary):
        own = set(terms(text))
        if own and 2 * len(own & told) >= len(own):
            return True
    return False


def _is_named(symbol: Symbol, requirement: Requirement) -> bool:
    return bool({symbol.name, _short(symbol)} & named(requirement.text))


def _words(requirement: Requirement, shared: Sequence[str]) -> str:
    words = [word for word in re.findall(r"[^\W\d_]+", requirement.text) if stem(word.lower()) in shared]
    return ", ".join(dict.fromkeys(word.lower() for word in words[:_SHOWN])) or "what stands for little"


def _short(symbol: Symbol) -> str:
    return symbol.name.rpartition(".")[2][:60]


def _of(requirement: Requirement, status: Status, symbols: Sequence[Symbol], text: str) -> Finding:
    code = list(dict.fromkeys(symbol.at for symbol in symbols))
    return Finding(status=status, design=[requirement.at], code=code, explanation=text[:400])
