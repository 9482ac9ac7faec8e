"""What the encoding and the cache have saved, told honestly.

Tokens and money that were spent are the ledger's: what the provider counted, rejected answers too. What the encoding
saved is counted by the tokenizer of each job's model, once a job (a repair turn sends the payload again; that is not
claimed). What a cached answer would have cost is an estimate: its prompt and its answer, counted by the same tokenizer.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from core import tokens
from core.model import JobState, ResultRow, Usage
from tasks.answers import schema_of
from tasks.gap import encode, prompt
from tasks.gap.answer import GapAnswer
from tasks.gap.facts import Payload
from tasks.kind import Spent

Cost: TypeAlias = Callable[[str, str, Usage], float | None]
"""(provider, model, usage) -> USD; None: unknown price."""

INDENTED, COMPACT = "json_indented", "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What was paid, and what would have been. None: the price of a model is unknown."""

    paid: float | None
    without_encoding: float | None  # the same calls with compact JSON payloads
    without_cache: float | None  # every cached job called, as it is encoded now
    without_either: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReport:
    """``payload``: tokens of all jobs' payloads by encoding. ``sent``: in the encoding that each job has."""

    jobs: int
    called: int
    cached: int
    payload: Mapping[str, int]
    sent: int
    chosen: Mapping[str, int]  # jobs by encoding
    ledger: Usage
    bill: Bill
    tokenizers: Mapping[str, str]  # by model; "assumed" where it has none that is known

    def saved(self, baseline: str) -> tuple[int, float]:
        """Tokens and per cent that the chosen encodings take less than a baseline."""
        before = self.payload[baseline]
        return before - self.sent, 100 * (before - self.sent) / before if before else 0.0


class Economist:
    """Takes rows one by one; ``report`` tells what they came to. ``spent`` None: what the rows' own answers cost."""

    def __init__(self, cost: Cost, spent: Spent | None = None) -> None:
        self._cost = cost
        self._spent = spent
        self._payload: Counter[str] = Counter({INDENTED: 0, **dict.fromkeys(encode.ENCODINGS, 0)})
        self._chosen: Counter[str] = Counter()
        self._sent = self._jobs = self._called = self._cached = 0
        self._rows = Spent(tokens=Usage(), cost_usd=0.0)
        self._encoding: float | None = 0.0  # what the called jobs' payloads would have cost more
        self._cache: float | None = 0.0  # what the cached jobs would have cost
        self._both: float | None = 0.0  # likewise, with compact JSON payloads
        self._tokenizers: dict[str, str] = {}

    def add(self, row: ResultRow, payload: Payload) -> None:
        """Counts a job: its payload in every encoding, and what the ledger knows of it."""
        chosen = prompt.encoded(payload, row.model)
        taken = chosen.tokens[chosen.name]
        self._jobs += 1
        self._sent += taken
        self._chosen[chosen.name] += 1
        self._payload.update({INDENTED: tokens.count(encode.indented(prompt.tables(payload)), row.model)})
        self._payload.update(chosen.tokens)
        self._rows = Spent(
            tokens=_sum(self._rows.tokens, row.tokens), cost_usd=_plus(self._rows.cost_usd, row.cost_usd)
        )
        encoding, assumed = tokens.encoding_for(row.model)
        self._tokenizers[row.model] = f"{encoding.name} (assumed)" if assumed else encoding.name
        more = Usage(prompt=chosen.tokens[COMPACT] - taken)
        if row.cached and row.state is JobState.DONE:
            self._cached += 1
            self._add_cached(row, payload, chosen, more)
        elif row.attempts:
            self._called += 1
            extra = self._difference(row, row.tokens, more)
            self._encoding = _plus(self._encoding, extra)

    def report(self) -> TokenReport:
        spent = self._spent or self._rows
        encoded = _plus(spent.cost_usd, self._encoding)
        return TokenReport(
            jobs=self._jobs,
            called=self._called,
            cached=self._cached,
            payload=dict(self._payload),
            sent=self._sent,
            chosen=dict(self._chosen),
            ledger=spent.tokens,
            bill=Bill(
                paid=spent.cost_usd,
                without_encoding=encoded,
                without_cache=_plus(spent.cost_usd, self._cache),
                without_either=_plus(encoded, self._both),
            ),
            tokenizers=self._tokenizers,
        )

    def _add_cached(self, row: ResultRow, payload: Payload, chosen: encode.Encoded, more: Usage) -> None:
        told = {"findings": (row.result or {}).get("findings", [])}
        usage = Usage(
            prompt=tokens.count_messages(prompt.messages(payload, chosen), row.model, schema_of(GapAnswer, "gap")),
            completion=tokens.count(orjson.dumps(told).decode(), row.model),
        )
        self._cache = _plus(self._cache, self._cost(row.provider, row.model, usage))
        self._both = _plus(self._both, self._cost(row.provider, row.model, _sum(usage, more)))

    def _difference(self, row: ResultRow, usage: Usage, more: Usage) -> float | None:
        now = self._cost(row.provider, row.model, usage)
        then = self._cost(row.provider, row.model, _sum(usage, more))
        return None if now is None or then is None else then - now


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=one.cached + other.cached,
        reasoning=one.reasoning + other.reasoning,
        cache_write=one.cache_write + other.cache_write,
    )
