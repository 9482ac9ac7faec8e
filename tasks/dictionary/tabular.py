"""CSV and TSV files as field tables: the first rows, read once."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from db.introspect import Category
from tasks.dictionary.fields import FieldTable, Policy, SourceField
from tasks.dictionary.statistics import Profile, as_number, row_limit
from tasks.kind import Problem
from tasks.records import encoding_of

_SNIFFED = 64 * 1024
_LONGEST_FIELD = 16 * 1024 * 1024
# A header cell that looks like this is data: the file has none, and its first row must not become names.
_DATA = re.compile(r"[-+]?[\d.,:/\s-]+|\S+@\S+\.\S+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|https?://\S+|\S.{80,}", re.DOTALL)
_BOOLEANS = ({"true", "false"}, {"yes", "no"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")


def table(path: Path, name: str, *, encoding: str, policy: Policy) -> FieldTable | Problem:
    """The file's columns, or why it is no table."""
    try:
        with path.open(encoding=text_encoding(path, encoding), newline="") as file:
            return _read(file, name, policy)
    except UnicodeDecodeError as exc:
        return Problem(where=str(path), what=f"not {exc.encoding} text (byte {exc.start}): give its encoding")
    except (OSError, csv.Error, LookupError, ValueError) as exc:
        return Problem(where=str(path), what=str(exc))


def text_encoding(path: Path, given: str) -> str:
    """A byte order mark says more than a setting."""
    with path.open("rb") as file:
        head = file.read(4)
    return encoding_of(head, given)


def _read(file: TextIO, name: str, policy: Policy) -> FieldTable | Problem:
    start = file.read(_SNIFFED)
    if not start.strip():
        return Problem(where=file.name, what="empty")
    if "\0" in start:
        return Problem(where=file.name, what="binary, not text")
    file.seek(0)
    csv.field_size_limit(_LONGEST_FIELD)
    rows = (row for row in csv.reader(file, dialect=_dialect(start)) if row)
    first = next(rows, [])
    header = not any(_DATA.fullmatch(cell.strip()) for cell in first if cell.strip())
    names = _names(first if header else [""] * len(first))
    profiles = [Profile() for _ in names]
    limit = row_limit(policy.sample_rows, len(names))
    data = rows if header else itertools.chain([first], rows)
    sampled = False
    if policy.statistics:
        sampled = _fill(profiles, data, limit)
    return FieldTable(
        name=name,
        kind="CSV file",
        sampled=sampled,
        fields=[
            _field(column, profile if policy.statistics else None)
            for column, profile in zip(names, profiles, strict=True)
        ],
    )


def _dialect(start: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(start[: start.rfind("\n") + 1] or start, delimiters=",;\t|")
    except csv.Error:  # one column, or nothing regular
        return csv.excel


def _names(first: Sequence[str]) -> list[str]:
    return [cell.strip() or f"column_{number}" for number, cell in enumerate(first, start=1)]


def _fill(profiles: Sequence[Profile], rows: Iterator[Sequence[str]], limit: int) -> bool:
    for number, row in enumerate(rows):
        if number == limit:
            return True
        for profile, cell in itertools.zip_longest(profiles, row[: len(profiles)], fillvalue=None):
            if profile is not None:
                profile.add(cell or None)
    return False


def _field(name: str, profile: Profile | None) -> SourceField:
    type_name, category = _type(profile)
    return SourceField(
        name=name,
        type=type_name,
        category=category,
        nullable=profile is None or profile.filled < profile.rows,
        profile=profile,
    )


def _type(profile: Profile | None) -> tuple[str, Category]:
    values = profile.texts() if profile else []
    if not values:
        return "text", Category.TEXT
    if {value.lower() for value in values} in _BOOLEANS:
        return "boolean", Category.BOOLEAN
    numbers = [as_number(value) for value in values]
    # A leading zero is part of a code, not of a number.
    if None not in numbers and not any(re.match(r"[-+]?0\d", value) for value in values):
        return ("integer" if all(isinstance(n, int) for n in numbers) else "number"), Category.NUMBER
    if all(_DATE.fullmatch(value) for value in values):
        return "date", Category.TEMPORAL
    if all(_TIMESTAMP.fullmatch(value) for value in values):
        return "timestamp", Category.TEMPORAL
    return "text", Category.TEXT
