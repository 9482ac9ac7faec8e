"""One Markdown page a table under a directory, and an index with a Mermaid diagram of the keys."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import InputError
from tasks.dictionary.export.entries import Entry, by_table, coverage
from tasks.dictionary.export.files import write_text
from tasks.dictionary.export.flat import key
from tasks.dictionary.words import phrase, title
from tasks.templates import render

_MARK = "<!-- written by llmsweep: data dictionary -->"
_DRAWN_TABLES = 60  # Mermaid gives up on larger diagrams
_DRAWN_COLUMNS = 12
_SOURCES = {"human": "person", "model": "model", "rule": "rule", "none": "-"}


def write(found: Sequence[Entry], out: Path) -> str:
    """Pages are replaced one by one, the index last; pages of tables that are gone are removed, other files stay."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", hint="Markdown pages need a directory")
    tables = list(by_table(found))
    pages = dict(zip((table for table, _ in tables), _file_names([table for table, _ in tables]), strict=True))
    for table, group in tables:
        write_text(out / "tables" / pages[table], _page(table, group, pages))
    write_text(out / "index.md", _index(found, tables, pages))
    for old in (out / "tables").glob("*.md"):
        if old.name not in pages.values() and old.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
            old.unlink()
    return f"{out / 'index.md'}"


def _index(
    found: Sequence[Entry], tables: list[tuple[tuple[str, str], list[Entry]]], pages: dict[tuple[str, str], str]
) -> str:
    related = _related(tables)
    return (
        render(
            "tasks.dictionary",
            "index",
            mark=_MARK,
            coverage=coverage(found),
            tables=[
                {
                    "name": _cell(_shown(table)),
                    "page": pages[table],
                    "kind": group[0].facts.kind,
                    "fields": len(group),
                    "described": sum(1 for entry in group if entry.source != "none"),
                    "comment": _cell(group[0].facts.table_comment),
                }
                for table, group in tables
            ],
            diagram=_diagram([(table, group) for table, group in tables if table in related][:_DRAWN_TABLES]),
            left_out=max(0, len(related) - _DRAWN_TABLES),
        )
        + "\n"
    )


def _page(table: tuple[str, str], group: list[Entry], pages: dict[tuple[str, str], str]) -> str:
    facts = group[0].facts
    keys = [_cell(entry.facts.column) for entry in group if entry.facts.primary_key]
    return (
        render(
            "tasks.dictionary",
            "page",
            mark=_MARK,
            table=_cell(_shown(table)),
            heading=_cell(title(phrase(table[1])) or table[1]),
            kind=facts.kind,
            comment=_cell(facts.table_comment),
            rows=_rows(facts.statistics.rows, sampled=facts.statistics.sampled) if facts.statistics else "",
            primary_key=", ".join(keys),
            fields=[_field(entry, table, pages) for entry in group],
            statistics=[row for entry in group if (row := _statistics(entry))],
        )
        + "\n"
    )


def _field(entry: Entry, table: tuple[str, str], pages: dict[tuple[str, str], str]) -> dict[str, str]:
    facts = entry.facts
    return {
        "column": _cell(facts.column),
        "name": _cell(entry.business_name),
        "type": _cell(facts.type + ("" if facts.nullable else " not null")),
        "key": ", ".join([key(entry), *(_link(target, table, pages) for target in facts.references)]).strip(", "),
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
    return f"more than {rows} rows (statistics from the first {rows})" if sampled else f"{rows} rows"


def _link(target: str, table: tuple[str, str], pages: dict[tuple[str, str], str]) -> str:
    container, name = _target(target, table)
    page = pages.get((container, name))
    return f"→ [{_cell(target)}]({page})" if page else f"→ {_cell(target)}"


def _target(reference: str, table: tuple[str, str]) -> tuple[str, str]:
    """The table of a reference such as ``schema.table.column``; parts may be quoted."""
    parts = [part.strip('"').replace('""', '"') for part in re.findall(r'"(?:[^"]|"")*"|[^.]+', reference)]
    names = parts[:-1] if len(parts) > 1 else parts
    return (names[-2] if len(names) > 1 else table[0], names[-1])


def _related(tables: list[tuple[tuple[str, str], list[Entry]]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for table, group in tables:
        for entry in group:
            for reference in entry.facts.references:
                found |= {table, _target(reference, table)}
    return found & {table for table, _ in tables}


def _diagram(tables: list[tuple[tuple[str, str], list[Entry]]]) -> list[str]:
    drawn = {table for table, _ in tables}
    return [line for table, group in tables for line in _drawn(table, group, drawn)]


def _drawn(table: tuple[str, str], group: list[Entry], drawn: set[tuple[str, str]]) -> Iterator[str]:
    name = _mermaid(_shown(table))
    shown = sorted(group, key=lambda entry: not key(entry))[:_DRAWN_COLUMNS]
    yield f'    "{name}" {{'
    for entry in shown:
        marks = key(entry).replace("UQ", "UK").replace(" ", ", ")
        yield f"        {_word(entry.facts.type)} {_word(entry.facts.column)} {marks}".rstrip()
    yield "    }"
    for entry in group:
        for reference in entry.facts.references:
            target = _target(reference, table)
            if target in drawn:
                line = "|o" if entry.facts.nullable else "||"
                many = "o|" if entry.facts.unique else "o{"
                yield f'    "{_mermaid(_shown(target))}" {line}--{many} "{name}" : "{_mermaid(entry.facts.column)}"'


def _file_names(tables: Sequence[tuple[str, str]]) -> list[str]:
    """Names that every file system takes; two that would be one on some of them get a digest."""
    slugs = [re.sub(r"[^\w-]+", "_", _shown(table))[:100].strip("_") or "table" for table in tables]
    lower = [slug.lower() for slug in slugs]
    return [
        f"{slug}-{hashlib.sha256(repr(table).encode()).hexdigest()[:8]}.md"
        if lower.count(slug.lower()) > 1
        else f"{slug}.md"
        for slug, table in zip(slugs, tables, strict=True)
    ]


def _shown(table: tuple[str, str]) -> str:
    return ".".join(part for part in table if part)


def _cell(text: str) -> str:
    """Text that cannot leave its table cell, or become markup."""
    flat = " ".join(text.split())
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", flat).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mermaid(text: str) -> str:
    return " ".join(text.replace('"', "'").split())


def _word(text: str) -> str:
    word = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:40]
    return word if word[:1].isalpha() else f"c_{word}"
