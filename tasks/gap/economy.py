"""What the encoding and the cache have saved, told honestly.

Tokens and money that were spent are the ledger's: what the provider counted, summed over the rows. What the encoding
saved is counted by the tokenizer of each job's model, once a job (a repair turn sends the payload again; that is not
claimed). What a cached answer would have cost is an estimate: its prompt and its answer, counted by the same tokenizer.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from core import tokens
from core.model import ResultRow, Usage
from tasks.answers import schema_of
from tasks.gap import encode, prompt
from tasks.gap.answer import GapAnswer
from tasks.gap.facts import Payload

Cost: TypeAlias = Callable[[str, str, Usage], float | None]
"""(provider, model, usage) -> USD; None: unknown price."""

INDENTED, COMPACT = "json_indented", "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was paid, and what would have been. None: the price of a model is unknown."""

    paid_usd: float | None
    without_encoding_usd: float | None  # the same calls with compact JSON payloads
    without_cache_usd: float | None  # every cached job called, as it is encoded now
    without_either_usd: float | None


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
    spent: Spent
    tokenizers: Mapping[str, str]  # by model; "assumed" where it has none that is known

    def saved(self, baseline: str) -> tuple[int, float]:
        """Tokens and per cent that the chosen encodings take less than a baseline."""
        before = self.payload[baseline]
        return before - self.sent, 100 * (before - self.sent) / before if before else 0.0


class Economist:
    """Takes rows one by one; ``report`` tells what they came to."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._payload: Counter[str] = Counter({INDENTED: 0, **dict.fromkeys(encode.ENCODINGS, 0)})
        self._chosen: Counter[str] = Counter()
        self._sent = self._jobs = self._called = self._cached = 0
        self._ledger = Usage()
        self._spent: dict[str, float | None] = dict.fromkeys(("paid", "encoding", "cache", "either"), 0.0)
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
        self._ledger = _sum(self._ledger, row.tokens)
        encoding, assumed = tokens.encoding_for(row.model)
        self._tokenizers[row.model] = f"{encoding.name} (assumed)" if assumed else encoding.name
        more = chosen.tokens[COMPACT] - taken
        if row.cached:
            self._cached += 1
            self._add_cached(row, payload, chosen, more)
        elif row.tokens.total:
            self._called += 1
            self._add_called(row, more)

    def report(self) -> TokenReport:
        return TokenReport(
            jobs=self._jobs,
            called=self._called,
            cached=self._cached,
            payload=dict(self._payload),
            sent=self._sent,
            chosen=dict(self._chosen),
            ledger=self._ledger,
            spent=Spent(
                paid_usd=self._spent["paid"],
                without_encoding_usd=self._spent["encoding"],
                without_cache_usd=self._spent["cache"],
                without_either_usd=self._spent["either"],
            ),
            tokenizers=self._tokenizers,
        )

    def _add_called(self, row: ResultRow, more: int) -> None:
        now = self._cost(row.provider, row.model, row.tokens)
        with_json = self._cost(row.provider, row.model, _sum(row.tokens, Usage(prompt=more)))
        extra = None if now is None or with_json is None else with_json - now
        for name, added in (("paid", 0.0), ("encoding", extra), ("cache", 0.0), ("either", extra)):
            self._spend(name, row.cost_usd, added)

    def _add_cached(self, row: ResultRow, payload: Payload, chosen: encode.Encoded, more: int) -> None:
        sent = prompt.messages(payload, chosen)
        told = {"findings": (row.result or {}).get("findings", [])}
        usage = Usage(
            prompt=tokens.count_messages(sent, row.model, schema_of(GapAnswer, "gap")),
            completion=tokens.count(orjson.dumps(told).decode(), row.model),
        )
        self._spend("paid", row.cost_usd)
        self._spend("encoding", row.cost_usd)
        self._spend("cache", self._cost(row.provider, row.model, usage))
        self._spend("either", self._cost(row.provider, row.model, _sum(usage, Usage(prompt=more))))

    def _spend(self, name: str, *parts: float | None) -> None:
        for part in parts:
            before = self._spent[name]
            self._spent[name] = None if before is None or part is None else before + part


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=one.cached + other.cached,
        reasoning=one.reasoning + other.reasoning,
        cache_write=one.cache_write + other.cache_write,
    )
