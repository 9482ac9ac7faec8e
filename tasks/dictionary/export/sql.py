"""``COMMENT ON`` statements for PostgreSQL, and others that read them. Never where a person has written a comment."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import InputError
from tasks.dictionary.export.entries import Entry
from tasks.files import write_text

_HEAD = "-- Column comments, written by llmsweep. Existing comments are left as they are.\nBEGIN;\n"


def write(found: Sequence[Entry], out: Path) -> str:
    """One transaction with a statement for each column that has a new description."""
    if not any(entry.facts.kind in {"table", "view"} for entry in found):
        raise InputError("SQL comments need a database: these fields come from files", hint="-f markdown, csv or json")
    statements = [statement(entry) for entry in found if _writable(entry)]
    path = out / "comments.sql" if out.is_dir() else out
    write_text(path, _HEAD + "".join(f"{line}\n" for line in statements) + "COMMIT;\n")
    return f"{path} ({len(statements)} comments)"


def statement(entry: Entry) -> str:
    """``COMMENT ON COLUMN "schema"."table"."column" IS '...';``."""
    facts = entry.facts
    name = ".".join(_identifier(part) for part in (facts.container, facts.table, facts.column) if part)
    return f"COMMENT ON COLUMN {name} IS {_literal(entry.description)};"


def _writable(entry: Entry) -> bool:
    return bool(entry.description) and entry.source != "human" and entry.facts.kind in {"table", "view"}


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    # A backslash means itself only while standard_conforming_strings is on; E'' says it under either setting.
    quoted = text.replace("'", "''")
    return f"'{quoted}'" if "\\" not in quoted else "E'" + quoted.replace("\\", "\\\\") + "'"
