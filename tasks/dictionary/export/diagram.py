"""The keys between tables as lines of a Mermaid ER diagram."""

import re
from collections.abc import Iterator, Mapping

from tasks.dictionary.export.entries import Entry, TableKey, target
from tasks.dictionary.export.flat import key

_TABLES = 60  # Mermaid gives up on larger diagrams
_COLUMNS = 12


def diagram(tables: Mapping[TableKey, list[Entry]], names: Mapping[TableKey, str]) -> tuple[list[str], int]:
    """The lines, for the tables that have relations, and how many of those did not fit."""
    related = _related(tables)
    drawn = {table: tables[table] for table in [table for table in tables if table in related][:_TABLES]}
    lines = [line for table, group in drawn.items() for line in _table(table, group, names)]
    lines += [line for table, group in drawn.items() for line in _relations(table, group, names, set(drawn))]
    return lines, max(0, len(related) - _TABLES)


def _related(tables: Mapping[TableKey, list[Entry]]) -> set[TableKey]:
    found: set[TableKey] = set()
    for table, group in tables.items():
        for entry in group:
            for reference in entry.facts.references:
                found |= {table, target(reference, table)}
    return found & set(tables)


def _table(table: TableKey, group: list[Entry], names: Mapping[TableKey, str]) -> Iterator[str]:
    yield f'    "{_text(names[table])}" {{'
    for entry in sorted(group, key=lambda entry: not key(entry))[:_COLUMNS]:
        marks = key(entry).replace("UQ", "UK").replace(" ", ", ")
        yield f"        {_word(entry.facts.type)} {_word(entry.facts.column)} {marks}".rstrip()
    yield "    }"


def _relations(
    table: TableKey, group: list[Entry], names: Mapping[TableKey, str], drawn: set[TableKey]
) -> Iterator[str]:
    for entry in group:
        for other in dict.fromkeys(target(reference, table) for reference in entry.facts.references):
            if other in drawn:
                one = "|o" if entry.facts.nullable else "||"
                many = "o|" if entry.facts.unique else "o{"
                ends = f'"{_text(names[other])}" {one}--{many} "{_text(names[table])}"'
                yield f'    {ends} : "{_text(entry.facts.column)}"'


def _text(text: str) -> str:
    return re.sub(r"[^\w .-]+", "_", " ".join(text.split()))[:80]


def _word(text: str) -> str:
    word = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:40]
    return word if word[:1].isalpha() else f"c_{word}"
