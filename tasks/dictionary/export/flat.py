"""One line a field: CSV for people and spreadsheets, JSON for programs."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tasks.dictionary.export.entries import Entry, by_table
from tasks.files import write_bytes, write_text
from tasks.spreadsheet import inert

COLUMNS = (
    "path", "schema", "table", "column", "type", "nullable", "key", "references", "description", "business_name",
    "semantic_type", "confidence", "source", "existing", "rows", "nulls", "distinct", "error",
)  # fmt: skip


def record(entry: Entry) -> dict[str, Any]:
    """The field as one flat row, keys as in ``COLUMNS``."""
    facts = entry.facts
    found = facts.statistics
    return {
        "path": facts.path,
        "schema": facts.container,
        "table": facts.table,
        "column": facts.column,
        "type": facts.type,
        "nullable": facts.nullable,
        "key": key(entry),
        "references": ", ".join(facts.references),
        "description": entry.description,
        "business_name": entry.business_name,
        "semantic_type": entry.semantic_type,
        "confidence": entry.confidence,
        "source": entry.source,
        "existing": entry.existing,
        "rows": found.rows if found else None,
        "nulls": found.nulls if found else None,
        "distinct": found.distinct if found else None,
        "error": entry.error,
    }


def key(entry: Entry) -> str:
    """PK, FK, UQ, as far as they apply."""
    facts = entry.facts
    marks = (("PK", facts.primary_key), ("FK", bool(facts.references)), ("UQ", facts.unique and not facts.primary_key))
    return " ".join(mark for mark, applies in marks if applies)


def write_csv(found: Sequence[Entry], out: Path) -> str:
    """RFC 4180; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    for entry in found:
        writer.writerow({name: inert(value) for name, value in record(entry).items()})
    path = _file(out, "csv")
    write_text(path, buffer.getvalue())
    return str(path)


def write_json(found: Sequence[Entry], out: Path) -> str:
    """``{"tables": [{"schema", "table", "kind", "comment", "fields": [...]}]}``; fields carry all their statistics."""
    tables = []
    for (schema, table), group in by_table(found):
        first = group[0].facts
        fields = [
            record(entry)
            | {"references": list(entry.facts.references), "statistics": entry.facts.dump().get("statistics")}
            for entry in group
        ]
        tables.append(
            {"schema": schema, "table": table, "kind": first.kind, "comment": first.table_comment, "fields": fields}
        )
    path = _file(out, "json")
    write_bytes(path, orjson.dumps({"tables": tables}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return str(path)


def _file(out: Path, suffix: str) -> Path:
    return out / f"dictionary.{suffix}" if out.is_dir() else out
