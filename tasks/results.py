"""Results for people: every kind writes its own files, and JSON lines are everybody's."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from core.errors import InputError
from core.model import JsonObject, ResultRow
from db import progress, results
from db.engine import connect
from tasks.kind import Accountable, Spent
from tasks.registry import kind

JSONL = "jsonl"
STDOUT = Path("-")

_SUFFIXES = {("dictionary", "markdown"): "", ("dictionary", "dbt"): ".yml", ("gap", "markdown"): ".md"}
"""Of kind and format, where it is not the format's own name; none: a folder."""


def export(database_url: str, name: str, fmt: str, out: Path | None = None) -> str:
    """Writes a sweep's results in input order and says what lies where. Raises InputError.

    ``out`` None: lines go to standard output, other formats to a file in the working directory, named after the sweep.
    """
    engine = connect(database_url, role="reader", pool=1)
    try:
        status = progress.status(engine, name)
        of_kind = kind(status.kind)
        out = out or _place(of_kind.name, name, fmt)
        if fmt == JSONL:
            count = _write_lines(results.rows(engine, name), out)
            return f"{count} lines in {'standard output' if out == STDOUT else out}"
        if fmt not in of_kind.formats:
            known = ", ".join([JSONL, *of_kind.formats])
            raise InputError(f"{of_kind.name} has no format {fmt!r}", hint=f"formats: {known}")
        if isinstance(of_kind, Accountable):
            of_kind = of_kind.accounting(Spent(tokens=status.tokens, cost_usd=status.cost_usd))
        rows = results.rows(engine, name, vectors=of_kind.wants_vectors)
        if out == STDOUT:
            return _to_stdout(lambda place: of_kind.export(rows, fmt, place), fmt)
        return of_kind.export(rows, fmt, out)
    finally:
        engine.dispose()


def _place(kind_name: str, name: str, fmt: str) -> Path:
    return STDOUT if fmt == JSONL else Path(name + _SUFFIXES.get((kind_name, fmt), f".{fmt}"))


def _to_stdout(write: Callable[[Path], str], fmt: str) -> str:
    """For `sweep export NAME -f patch -o - | git apply`."""
    with tempfile.TemporaryDirectory(prefix="sweep-export-") as folder:
        place = Path(folder, f"export.{fmt}")
        write(place)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        if files != [place]:
            raise InputError(f"the format {fmt} is several files", hint="give -o PATH")
        sys.stdout.buffer.write(place.read_bytes())
        sys.stdout.buffer.flush()
    return f"{fmt} in standard output"


def read(database_url: str, name: str) -> Iterator[ResultRow]:
    """A sweep's rows in input order, a page in memory at a time. Raises InputError for an unknown name."""
    engine = connect(database_url, role="reader", pool=1)
    try:
        yield from results.rows(engine, name)
    finally:
        engine.dispose()


def line(row: ResultRow) -> JsonObject:
    """One line of the JSON lines format."""
    return {
        "key": row.key,
        "state": row.state.value,
        "result": row.result,
        "error": row.error,
        "provider": row.provider,
        "model": row.model,
        "cached": row.cached,
        "tokens": {
            "prompt": row.tokens.prompt,
            "completion": row.tokens.completion,
            "cached": row.tokens.cached,
            "reasoning": row.tokens.reasoning,
        },
        "cost_usd": row.cost_usd,
        "call_id": row.call_id,
    }


def _write_lines(rows: Iterator[ResultRow], out: Path) -> int:
    count = 0
    with _opened(out) as file:
        for row in rows:
            count += file.write(orjson.dumps(line(row), option=orjson.OPT_APPEND_NEWLINE)) > 0
    return count


@contextmanager
def _opened(out: Path) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if out == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if out.is_dir():
        raise InputError(f"{out} is a directory", hint="name a file")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out.absolute().parent} is no directory", hint="make it first, or write elsewhere")
    handle, part = tempfile.mkstemp(dir=out.absolute().parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(part).replace(out)
    finally:
        Path(part).unlink(missing_ok=True)
