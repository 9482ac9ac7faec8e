"""What `sweep export` writes: a patch, or the docstrings as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError
from core.model import ResultRow
from tasks.docstring.apply import patch, write_file


def export(rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
    """Writes ``out`` atomically and says in one line what is in it."""
    if fmt == "patch":
        data, report = patch(rows)
        write_file(out, data)
        left = f", {len(report.skipped)} left out" if report.skipped else ""
        return f"{out}: {report.inserted} docstrings in a patch{left}; git apply {out}"
    if fmt == "json":
        items = [_item(row) for row in rows if row.result]
        write_file(out, json.dumps(items, indent=2, ensure_ascii=False).encode() + b"\n")
        return f"{out}: {len(items)} docstrings"
    raise InputError(f"docstring has no format {fmt!r}", hint="formats: patch, json, jsonl")


def _item(row: ResultRow) -> dict[str, object]:
    return {"key": row.key, "state": row.state.value, "lineno": row.input["target"]["lineno"], **(row.result or {})}
