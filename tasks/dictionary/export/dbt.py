"""dbt properties (``schema.yml``): a new file, or merged into one that is there, its comments and order kept."""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.errors import InputError
from tasks.dictionary.export.entries import Entry, by_table
from tasks.files import write_text

_SECTIONS = ("models", "sources", "seeds", "snapshots")
_OURS = "described_by"
_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def write(found: Sequence[Entry], out: Path) -> str:
    """Fills in what has no description, and renews what an earlier export wrote. Raises InputError for a bad file."""
    path = out / "schema.yml" if out.is_dir() else out
    text = _existing(path)
    yaml = _yaml(text)
    document = _loaded(yaml, text, path)
    written = sum(_merge(document, schema, table, group) for (schema, table), group in by_table(found))
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    write_text(path, buffer.getvalue())
    return f"{path} ({written} descriptions written)"


def _existing(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as exc:
        raise InputError(f"{path} is not UTF-8 text") from exc


def _yaml(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    dash = re.search(r"^( *)- ", text, re.MULTILINE)
    offset = len(dash[1]) if dash else 2
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


def _loaded(yaml: YAML, text: str, path: Path) -> Any:
    try:
        document = yaml.load(text) if text.strip() else {"version": 2}
    except YAMLError as exc:
        first = str(exc).splitlines()[0]
        raise InputError(f"{path} is not YAML: {first}", hint="nothing was written") from exc
    if not isinstance(document, dict) or not all(isinstance(document.get(key, []), list) for key in _SECTIONS):
        raise InputError(f"{path} is no dbt properties file", hint="expected models: or sources: with a list")
    return document


def _merge(document: Any, schema: str, table: str, group: list[Entry]) -> int:
    node = _find(document, schema, table)
    if node is None:
        node = {"name": table}
        _siblings(document, schema).append(node)
    comment = group[0].facts.table_comment
    if comment and not node.get("description"):
        node["description"] = _inert(comment)
    columns = node.setdefault("columns", [])
    known = {str(column.get("name", "")).lower(): column for column in columns if isinstance(column, dict)}
    written = 0
    for entry in group:
        column = known.get(entry.facts.column.lower())
        if column is None:
            column = {"name": entry.facts.column}
            if not _PLAIN.fullmatch(entry.facts.column):
                column["quote"] = True
            columns.append(column)
        written += _describe(column, entry)
    return written


def _describe(column: Any, entry: Entry) -> int:
    meta = column.get("meta")
    ours = isinstance(meta, dict) and _OURS in meta
    if not entry.description or (column.get("description") and not ours):
        return 0
    column["description"] = _inert(entry.description)
    column.setdefault("data_type", entry.facts.type)
    if entry.source != "human":
        told = {"business_name": entry.business_name, "semantic_type": entry.semantic_type, _OURS: entry.source}
        column["meta"] = meta if isinstance(meta, dict) else {}
        column["meta"].update(told)
    return 1


def _find(document: Any, schema: str, table: str) -> Any:
    return next(
        (
            node
            for siblings, scope in _all(document)
            for node in siblings
            if isinstance(node, dict)
            and table.lower() in {str(node.get(key, "")).lower() for key in ("name", "identifier", "alias")}
            and (not schema or not scope or schema.lower() == scope.lower())
        ),
        None,
    )


def _all(document: Any) -> Iterator[tuple[Any, str]]:
    """Each list of tables, and the schema that it belongs to, where it says so."""
    for section in _SECTIONS:
        for node in document.get(section) or ():
            if section == "sources" and isinstance(node, dict):
                yield node.get("tables") or (), str(node.get("schema") or node.get("name") or "")
        if section != "sources":
            yield document.get(section) or (), ""


def _siblings(document: Any, schema: str) -> Any:
    """The list that a new table joins: that of its source, else the models."""
    sources = [node for node in document.get("sources") or () if isinstance(node, dict)]
    for node in sources:
        if not schema or schema in {node.get("schema"), node.get("name")}:
            return node.setdefault("tables", [])
    return document.setdefault("models", [])


def _inert(text: str) -> str:
    # dbt renders descriptions as Jinja.
    return text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
