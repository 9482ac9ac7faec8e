"""One entry a field, the best of its results, in the order of the source."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from core.model import JobState, ResultRow
from tasks.dictionary.facts import Facts
from tasks.dictionary.keys import parts

TableKey: TypeAlias = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A field and what is said of it; texts are empty without a result. ``source``: human, model, rule or none."""

    facts: Facts
    description: str = ""
    business_name: str = ""
    semantic_type: str = ""
    confidence: float | None = None
    existing: str = ""
    source: str = "none"
    error: str = ""

    @property
    def table(self) -> TableKey:
        return self.facts.container, self.facts.table


def entries(rows: Iterable[ResultRow]) -> list[Entry]:
    """The fields in input order. Of several variants the surest model answer counts, before any rule."""
    best: dict[str, tuple[tuple[int, float], Entry]] = {}
    for row in rows:
        entry = _entry(row)
        rank = ({"human": 2, "model": 2, "rule": 1}.get(entry.source, 0), entry.confidence or 0.0)
        known = best.get(entry.facts.path)
        if known is None or rank > known[0]:
            best[entry.facts.path] = (rank, entry)  # a key keeps its first place
    return [entry for _, entry in best.values()]


def by_table(found: Sequence[Entry]) -> Iterator[tuple[TableKey, list[Entry]]]:
    """The entries table by table, in order of first appearance."""
    order = {table: number for number, table in enumerate(dict.fromkeys(entry.table for entry in found))}
    for table, group in groupby(sorted(found, key=lambda entry: order[entry.table]), key=lambda entry: entry.table):
        yield table, list(group)


def labels(tables: Iterable[TableKey]) -> dict[TableKey, str]:
    """How tables are called: with their schema only where there are several."""
    found = list(tables)
    several = len({schema for schema, _ in found}) > 1
    return {(schema, name): f"{schema}.{name}" if several and schema else name for schema, name in found}


def target(reference: str, table: TableKey) -> TableKey:
    """The table that a column of ``table`` refers to."""
    found = parts(reference)
    names = found[:-1] if len(found) > 1 else found
    return (names[-2] if len(names) > 1 else table[0], names[-1])


def coverage(found: Sequence[Entry]) -> str:
    """What share is described, and by whom, in one line."""
    by = Counter(entry.source for entry in found)
    described = len(found) - by["none"]
    told = [f"{by[source]} by {who}" for source, who in _WHO if by[source]]
    tables = len({entry.table for entry in found})
    share = int(100 * described / len(found)) if found else 0
    return f"{tables} tables, {len(found)} fields, {described} described ({share} %): {', '.join(told) or 'none'}"


_WHO = (("human", "people"), ("model", "model"), ("rule", "rule"))


def _entry(row: ResultRow) -> Entry:
    facts = Facts.model_validate(row.input)
    result = row.result
    if result is None or row.state not in {JobState.DONE, JobState.FALLBACK}:
        error = str((row.error or {}).get("message") or row.state.value)
        # What a person wrote stays, whatever became of the call.
        human = facts.comment.strip()
        return Entry(facts=facts, description=human, existing=human, source="human" if human else "none", error=error)
    existing = str(result.get("existing") or "")
    return Entry(
        facts=facts,
        description=str(result["description"]),
        business_name=str(result["business_name"]),
        semantic_type=str(result["semantic_type"]),
        confidence=float(result["confidence"]),
        existing=existing,
        source="human" if existing else str(result["source"]),
    )
