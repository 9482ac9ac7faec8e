"""One Markdown page a table under a directory, and an index with a Mermaid diagram of the keys."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from tasks.dictionary.export.diagram import diagram
from tasks.dictionary.export.entries import Entry, TableKey, by_table, coverage, labels, target
from tasks.dictionary.export.flat import key
from tasks.dictionary.words import phrase, title
from tasks.files import write_text
from tasks.templates import render

_MARK = "<!-- written by llmsweep: data dictionary -->"
_PACKAGE = "tasks.dictionary"
_SOURCES = {"human": "person", "model": "model", "rule": "rule", "none": "-"}


def write(found: Sequence[Entry], out: Path) -> str:
    """Pages are replaced one by one, the index last; pages of tables that are gone are removed, other files stay."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", hint="Markdown pages need a directory")
    tables = dict(by_table(found))
    names = labels(tables)
    book = _Book(names=names, pages=_file_names(names))
    for table, group in tables.items():
        write_text(out / "tables" / book.pages[table], _page(table, group, book))
    write_text(out / "index.md", _index(found, tables, book))
    for old in (out / "tables").glob("*.md"):
        if old.name not in book.pages.values() and old.read_text("utf-8", "replace").startswith(_MARK):
            old.unlink()
    return str(out / "index.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """How each table is called and where its page is."""

    names: Mapping[TableKey, str]
    pages: Mapping[TableKey, str]


def _index(found: Sequence[Entry], tables: Mapping[TableKey, list[Entry]], book: _Book) -> str:
    lines, left_out = diagram(tables, book.names)
    rows = [
        {
            "name": _cell(book.names[table]),
            "page": book.pages[table],
            "kind": group[0].facts.kind,
            "fields": len(group),
            "described": sum(1 for entry in group if entry.source != "none"),
            "comment": _cell(group[0].facts.table_comment),
        }
        for table, group in tables.items()
    ]
    text = render(
        _PACKAGE, "index", mark=_MARK, coverage=coverage(found), tables=rows, diagram=lines, left_out=left_out
    )
    return f"{text}\n"


def _page(table: TableKey, group: list[Entry], book: _Book) -> str:
    facts = group[0].facts
    text = render(
        _PACKAGE,
        "page",
        mark=_MARK,
        table=_cell(book.names[table]),
        heading=_cell(title(phrase(table[1])) or table[1]),
        kind=facts.kind,
        comment=_cell(facts.table_comment),
        rows=_rows(facts.statistics.rows, sampled=facts.statistics.sampled) if facts.statistics else "",
        primary_key=", ".join(_cell(entry.facts.column) for entry in group if entry.facts.primary_key),
        fields=[_field(entry, table, book) for entry in group],
        statistics=[row for entry in group if (row := _statistics(entry))],
    )
    return f"{text}\n"


def _field(entry: Entry, table: TableKey, book: _Book) -> dict[str, str]:
    facts = entry.facts
    links = [_link(reference, table, book) for reference in facts.references]
    return {
        "column": _cell(facts.column),
        "name": _cell(entry.business_name),
        "type": _cell(facts.type + ("" if facts.nullable else " not null")),
        "key": " ".join(part for part in (key(entry), *links) if part),
        "meaning": entry.semantic_type,
        "description": _cell(entry.description or f"(not described: {entry.error})"),
        "source": _SOURCES[entry.source],
    }


def _statistics(entry: Entry) -> dict[str, str] | None:
    found = entry.facts.statistics
    if found is None:
        return None
    length = "" if found.max_length is None else f"{found.min_length} to {found.max_length}"
    span = "" if found.minimum is None else f"{found.minimum} to {found.maximum}"
    return {
        "column": _cell(entry.facts.column),
        "nulls": str(found.nulls),
        "distinct": str(found.distinct),
        "length": length,
        "span": _cell(span),
        "samples": _cell(" · ".join(entry.facts.samples)),
    }


def _rows(rows: int, *, sampled: bool) -> str:
    return f"more than {rows} rows (statistics from {rows} of them)" if sampled else f"{rows} rows"


def _link(reference: str, table: TableKey, book: _Book) -> str:
    page = book.pages.get(target(reference, table))
    return f"→ [{_cell(reference)}]({page})" if page else f"→ {_cell(reference)}"


def _file_names(names: Mapping[TableKey, str]) -> dict[TableKey, str]:
    """Names that every file system takes; two that would be one on some of them get a digest."""
    slugs = {table: re.sub(r"[^\w-]+", "_", name)[:80].strip("_") or "table" for table, name in names.items()}
    alike = Counter(slug.lower() for slug in slugs.values())
    return {
        table: f"{slug}-{_digest(table)}.md" if alike[slug.lower()] > 1 else f"{slug}.md"
        for table, slug in slugs.items()
    }


def _digest(table: TableKey) -> str:
    return hashlib.sha256(repr(table).encode()).hexdigest()[:8]


def _cell(text: str) -> str:
    """Text that cannot leave its table cell, or become markup."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", flat)
