"""JSONL and CSV, record by record: a bad line is a Problem with its number, the others go on."""

import codecs
import csv
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeAlias

import orjson

from core.model import JsonObject
from tasks.kind import Problem

STDIN = "-"

JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson"})
CSV_SUFFIXES = frozenset({".csv", ".tsv"})

_LONGEST = 16 * 1024 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts as the UTF-16 one does, hence before it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a JSONL file or one row of a CSV file. ``line`` counts from 1 and, in CSV, from the header on."""

    line: int
    values: JsonObject


Read: TypeAlias = Record | Problem


def encoding_of(start: bytes, default: str = "utf-8") -> str:
    """The encoding that a byte order mark tells, else the default."""
    return next((name for bom, name in _BOMS if start.startswith(bom)), default)


def read(path: str) -> Iterator[Read]:
    """Streams a file's records, or those of standard input for ``-``. What cannot be read is a Problem.

    A file's name tells JSONL from CSV; where it does not, the first character does.
    """
    where = "standard input" if path == STDIN else path
    try:
        with _open(path) as stream:
            start = stream.peek(4096)
            # Bytes that are no UTF-8 become lone surrogates, which tell the line that holds them.
            text = io.TextIOWrapper(stream, encoding=encoding_of(start), errors="surrogateescape", newline="")
            yield from (_jsonl if _is_jsonl(path, start) else _csv)(text, where)
            text.detach()
    except OSError as exc:
        yield Problem(where=where, what=f"cannot be read: {exc.strerror or exc}")
    except UnicodeError as exc:
        yield Problem(where=where, what=f"broken {getattr(exc, 'encoding', 'text')} from here on: {exc}")


def _open(path: str) -> Any:
    return nullcontext(_stdin()) if path == STDIN else Path(path).open("rb")


def _stdin() -> BinaryIO:
    return sys.stdin.buffer


def _is_jsonl(path: str, start: bytes) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix in JSONL_SUFFIXES | CSV_SUFFIXES:
        return suffix in JSONL_SUFFIXES
    text = start.decode(encoding_of(start), errors="ignore")
    return text.lstrip()[:1] in {"{", "["}


# ---- JSONL


def _jsonl(stream: TextIO, where: str) -> Iterator[Read]:
    number = 0
    while line := stream.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST and not line.endswith("\n"):
            _skip_line(stream)
            yield Problem(where=f"{where}:{number}", what=f"longer than {_LONGEST >> 20} MB")
        elif line.strip():
            yield _parsed(line, number, where)


def _skip_line(stream: TextIO) -> None:
    while (rest := stream.readline(_LONGEST)) and not rest.endswith("\n"):
        pass


def _parsed(line: str, number: int, where: str) -> Read:
    where = f"{where}:{number}"
    if not _is_utf8(line):
        return Problem(where=where, what="not UTF-8")
    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        return Problem(where=where, what=f"not JSON: {exc.msg} (column {exc.colno})")
    if not isinstance(values, dict):
        return Problem(where=where, what=f"a {_name(values)}, not an object with named fields")
    # PostgreSQL's text cannot hold NUL, and no model can read it.
    return Record(line=number, values=_without_nul(values) if "\\u0000" in line else values)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _name(value: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


# ---- CSV


def _csv(stream: TextIO, where: str) -> Iterator[Read]:
    csv.field_size_limit(_LONGEST)
    head = stream.readline(_LONGEST)
    delimiter = max(_DELIMITERS, key=head.count) if head else ","
    rows = csv.reader(_rejoined(head, stream), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as exc:
            yield Problem(where=f"{where}:{rows.line_num}", what=f"not CSV: {exc}")
            continue
        if row is None:
            return
        if columns is not None:
            if row:
                yield _row(columns, row, where, rows.line_num)
            continue
        columns = [name.strip() or f"column_{i}" for i, name in enumerate(row, start=1)]
        if (problem := _bad_header(columns, where)) is not None:
            yield problem
            return


def _rejoined(head: str, stream: TextIO) -> Iterator[str]:
    yield head
    yield from stream


def _bad_header(columns: list[str], where: str) -> Problem | None:
    if not all(map(_is_utf8, columns)):
        return Problem(where=f"{where}:1", what="the header is not UTF-8")
    twice = sorted({name for name in columns if columns.count(name) > 1}) if len(set(columns)) < len(columns) else []
    if twice:
        return Problem(where=f"{where}:1", what=f"the header names a column twice: {', '.join(twice[:5])}")
    return None


def _row(columns: list[str], row: list[str], where: str, number: int) -> Read:
    where = f"{where}:{number}"
    if len(row) > len(columns):
        return Problem(where=where, what=f"{len(row)} cells under {len(columns)} columns")
    if not all(map(_is_utf8, row)):
        return Problem(where=where, what="not UTF-8")
    values = {name: cell.replace("\0", "") for name, cell in zip(columns, row, strict=False)}
    return Record(line=number, values=values)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
