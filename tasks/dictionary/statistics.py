"""Statistics of one column, independent of the rows' order: the same rows give the same numbers, byte for byte."""

import math
import zlib
from collections import Counter
from decimal import Decimal
from typing import TypeAlias

from tasks.dictionary.facts import Statistics, Top
from tasks.dictionary.masking import clean, shape

Number: TypeAlias = int | float | Decimal
Value: TypeAlias = str | bool | int | float | Decimal

CELLS = 1_000_000
"""Values of one table that are looked at, at most: a 10,000-column table gets fewer rows."""

_WHOLE_VALUE = 64  # longer ones are counted by a digest, and shown by their beginning
_TOP = 5
_LOOKED_AT = 200


def row_limit(sample_rows: int, columns: int) -> int:
    """How many rows of a table to read."""
    return min(sample_rows, max(100, CELLS // max(1, columns)))


class Profile:
    """Collects one column's values. Memory is bounded by the rows given, whatever their length."""

    __slots__ = ("_counts", "_lengths", "_max_length", "_min_length", "_nulls", "_rows", "_sized")

    def __init__(self) -> None:
        self._counts: Counter[Value] = Counter()
        self._rows = self._nulls = self._sized = self._lengths = self._max_length = 0
        self._min_length: int | None = None

    def add(self, value: object, length: int | None = None) -> None:
        """One row's value; ``length`` where ``value`` is only its beginning. None with a length: known, not fetched."""
        self._rows += 1
        if value is None and length is None:
            self._nulls += 1
            return
        text = value if isinstance(value, str) else None
        size = length if length is not None else len(text) if text is not None else None
        if size is not None:
            self._measure(size)
        if text is not None:
            self._counts[text if len(text) <= _WHOLE_VALUE and size == len(text) else _digest(text, size)] += 1
        elif isinstance(value, bool | int | float | Decimal):
            self._counts[value] += 1
        elif value is not None and not isinstance(value, bytes | memoryview):
            self._counts[str(value)[:_WHOLE_VALUE]] += 1

    def values(self) -> list[Value]:
        """Some distinct values, at most 200, chosen by hash: not by the order of the rows."""
        # Ties are certain only for equal text; a number and its text differ in type.
        return sorted(
            self._counts, key=lambda value: (zlib.crc32(_text(value).encode("utf-8", "replace")), _text(value))
        )[:_LOOKED_AT]

    def texts(self) -> list[str]:
        """``values`` as text; of long ones the beginning."""
        return [_visible(_text(value)) for value in self.values()]

    def samples(self, count: int, *, literal: bool) -> tuple[str, ...]:
        """Up to ``count`` different samples: shapes, or the values themselves when the column is allowed."""
        found: dict[str, None] = {}
        for text in self.texts():
            if len(found) >= count:
                break
            if text:
                found.setdefault(_shown(text, literal=literal))
        return tuple(found)

    def statistics(self, *, sampled: bool, literal: bool) -> Statistics:
        """The numbers, with every value in them as a shape unless ``literal``."""
        numbers = [number for value in self._counts if (number := as_number(value)) is not None]
        numeric = bool(numbers) and len(numbers) == len(self._counts) and not isinstance(next(iter(self._counts)), bool)
        low, high = (min(numbers), max(numbers)) if numeric else (None, None)
        return Statistics(
            rows=self._rows,
            sampled=sampled,
            nulls=self._nulls,
            distinct=len(self._counts),
            min_length=self._min_length,
            max_length=self._max_length if self._sized else None,
            avg_length=round(self._lengths / self._sized, 1) if self._sized else None,
            minimum=None if low is None else _shown(plain(low), literal=literal),
            maximum=None if high is None else _shown(plain(high), literal=literal),
            negative=low is not None and low < 0,
            true=self._counts[True] if self._counts and all(isinstance(v, bool) for v in self._counts) else None,
            top=self._top(literal=literal),
        )

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def filled(self) -> int:
        return self._rows - self._nulls

    @property
    def distinct(self) -> int:
        return len(self._counts)

    @property
    def longest(self) -> int:
        return self._max_length

    def _measure(self, size: int) -> None:
        self._sized += 1
        self._lengths += size
        self._max_length = max(self._max_length, size)
        self._min_length = size if self._min_length is None else min(self._min_length, size)

    def _top(self, *, literal: bool) -> tuple[Top, ...]:
        frequent = sorted((-rows, _text(value)) for value, rows in self._counts.items() if rows > 1)[:_TOP]
        return tuple(Top(value=_shown(_visible(text), literal=literal), rows=-rows) for rows, text in frequent)


def as_number(value: Value) -> Number | None:
    """The value as a finite number; numbers in text count (CSV), words like ``nan`` do not."""
    if isinstance(value, str):
        if not value.isascii() or not value[-1:].isdigit() or len(value) > _WHOLE_VALUE:
            return None
        try:
            value = int(value) if value.lstrip("+-").isdigit() else float(value)
        except ValueError:
            return None
    return value if math.isfinite(value) else None


def plain(number: Number) -> str:
    """A number without an exponent where it fits, so that its shape shows its size."""
    if isinstance(number, Decimal):
        return f"{number:f}"[:_WHOLE_VALUE]
    return str(number)[:_WHOLE_VALUE]


def _shown(text: str, *, literal: bool) -> str:
    return clean(text)[:_WHOLE_VALUE] if literal else shape(text)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else plain(value) if not isinstance(value, bool) else str(value).lower()


def _digest(text: str, size: int | None) -> str:
    return f"{text[:_WHOLE_VALUE]}\0{size}:{zlib.crc32(text.encode('utf-8', 'replace')):08x}"


def _visible(text: str) -> str:
    head, cut, _ = text.partition("\0") if len(text) > _WHOLE_VALUE else (text, "", "")
    return head + ("…" if cut else "")
