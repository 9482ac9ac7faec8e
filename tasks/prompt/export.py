"""Answers as CSV or Parquet, beside what they were asked with."""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from core.errors import InputError
from core.model import ResultRow
from tasks import parquet
from tasks.parquet import Type
from tasks.spreadsheet import inert

_COLUMNS = (
    "key",
    "state",
    "answer",
    "error",
    "provider",
    "model",
    "params",
    "sample",
    "cached",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
)
_TYPES = (
    *(Type.TEXT for _ in range(7)),
    Type.INTEGER,
    Type.BOOLEAN,
    Type.INTEGER,
    Type.INTEGER,
    Type.NUMBER,
)


def write_csv(rows: Iterator[ResultRow], out: Path) -> str:
    """A row a job, in input order; the input's own columns follow as ``input.<name>``. No cell is a formula.

    Records may bring new columns at any line: the body is written first, the header once all columns are known.
    """
    inputs: dict[str, None] = {}
    count = 0
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=out.parent) as body:
            writer = csv.writer(body, lineterminator="\n")
            for row in rows:
                given = row.input.get("row", {})
                inputs.update(dict.fromkeys(given))
                writer.writerow(map(inert, [*_result(row), *(_cell(given.get(name)) for name in inputs)]))
                count += 1
            body.seek(0)
            _publish(out, [*_COLUMNS, *(f"input.{name}" for name in inputs)], body)
    except OSError as exc:
        raise InputError(f"cannot write {out}: {exc.strerror}") from exc
    return f"{count} answers in {out}"


def write_parquet(rows: Iterator[ResultRow], out: Path) -> str:
    """A row a job, in input order; the input is one column, as JSON: a Parquet file names its columns at its start."""
    count = parquet.write(
        out,
        dict(zip((*_COLUMNS, "input"), (*_TYPES, Type.TEXT), strict=True)),
        ([*_result(row), orjson.dumps(row.input.get("row", {})).decode()] for row in rows),
    )
    return f"{count} answers in {out}"


def _publish(out: Path, header: list[str], body: Any) -> None:
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(map(inert, header))
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as whole:
            whole.write(head.getvalue())
            shutil.copyfileobj(body, whole)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _result(row: ResultRow) -> list[object]:
    result = row.result or {}
    answer = result.get("text") if "text" in result else _cell(result.get("json"))
    return [
        row.key,
        row.state.value,
        answer,
        (row.error or {}).get("message", _cell(row.error)) if row.error else None,
        row.provider,
        row.model,
        _cell(dict(row.params)) if row.params else None,
        row.sample,
        row.cached,
        row.tokens.prompt,
        row.tokens.completion,
        row.cost_usd,
    ]


def _cell(value: Any) -> object:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
