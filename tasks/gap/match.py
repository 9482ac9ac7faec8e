"""Which symbols a requirement may be about, by the words that they share. The same input gives the same choice."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from core import tokens
from tasks.gap.facts import Requirement, Symbol
from tasks.gap.terms import named, terms

_NAME, _SUMMARY, _REST = 1.0, 0.6, 0.3
_SECTION = 0.3
_NAMED = 1_000.0
_FALLBACK = 40
_COMMON = 2_000  # symbols with a word, above which it no longer tells them apart


class Matcher:
    """An index of all symbols. ``budget``: the tokens that a job's symbols may take."""

    def __init__(self, symbols: Sequence[Symbol], *, budget: int) -> None:
        self._symbols = symbols
        self._budget = budget
        self._found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._weights = [weights(symbol) for symbol in symbols]
        for index, symbol in enumerate(symbols):
            for name in {symbol.name, symbol.name.rpartition(".")[2]}:
                self._by_name[name].append(index)
            for term, weight in self._weights[index].items():
                self._found[term].append((index, weight))

    def candidates(self, requirement: Requirement) -> tuple[Symbol, ...]:
        """The best symbols first, as many as the budget allows.

        A requirement in words that no symbol has is shown the outermost symbols: their names may still tell a reader.
        """
        scores = self._scores(requirement)
        ranked = sorted(scores, key=lambda index: (-scores[index], index))
        return within([self._symbols[index] for index in ranked] or self._outermost(), self._budget)

    def _scores(self, requirement: Requirement) -> dict[int, float]:
        """Of the symbols that share a word with the requirement itself, not with its section's headings alone."""
        scores: defaultdict[int, float] = defaultdict(float)
        own = sorted(set(terms(requirement.text)), key=lambda term: (len(self._found.get(term, ())), term))
        for term in own:
            entries = self._found.get(term, ())
            if scores and len(entries) > _COMMON:
                self._raise(scores, term, 1.0)  # too common to bring in symbols that share nothing else
                continue
            rarity = self._rarity(term)
            for index, weight in entries:
                scores[index] += weight * rarity
        for name in named(requirement.text):
            for index in self._by_name.get(name, ()):
                scores[index] += _NAMED
        for term in dict.fromkeys(terms(requirement.section)):
            if term not in own:
                self._raise(scores, term, _SECTION)
        return scores

    def _raise(self, scores: dict[int, float], term: str, importance: float) -> None:
        importance *= self._rarity(term)
        for index in scores:
            scores[index] += importance * self._weights[index].get(term, 0.0)

    def _rarity(self, term: str) -> float:
        return math.log(1 + len(self._symbols) / (1 + len(self._found.get(term, ()))))

    def _outermost(self) -> list[Symbol]:
        return [symbol for symbol in self._symbols if "." not in symbol.name and symbol.kind != "constant"][:_FALLBACK]


def weights(symbol: Symbol) -> dict[str, float]:
    """A symbol's terms; those of its name tell most."""
    found: dict[str, float] = {}
    texts = ((symbol.name, _NAME), (symbol.summary, _SUMMARY), (f"{symbol.signature} {symbol.uses}", _REST))
    for text, weight in (*texts, (symbol.at.rpartition(":")[0], _REST)):
        for term in terms(text):
            found.setdefault(term, weight)
    return found


def within(symbols: Iterable[Symbol], budget: int) -> tuple[Symbol, ...]:
    """The first symbols that fit into so many tokens, one at least."""
    kept: list[Symbol] = []
    for symbol in symbols:
        budget -= size(symbol)
        if kept and budget < 0:
            break
        kept.append(symbol)
    return tuple(kept)


def size(symbol: Symbol) -> int:
    """About what a symbol's row takes."""
    return tokens.count(",".join(symbol.model_dump().values()))


class Related:
    """Which requirements speak of some symbols, if any does."""

    def __init__(self, requirements: Sequence[Requirement]) -> None:
        self._requirements = requirements
        self._terms = [frozenset(terms(requirement.text)) for requirement in requirements]

    def to(self, symbols: Sequence[Symbol], most: int) -> tuple[Requirement, ...]:
        """The requirements that share most words with the symbols, in the document's order."""
        told: dict[str, float] = {}
        for symbol in symbols:
            for term, weight in weights(symbol).items():
                told[term] = max(weight, told.get(term, 0.0))
        scores = [sum(told.get(term, 0.0) for term in wanted) for wanted in self._terms]
        best = sorted((index for index, score in enumerate(scores) if score), key=lambda index: (-scores[index], index))
        return tuple(self._requirements[index] for index in sorted(best[:most]))
