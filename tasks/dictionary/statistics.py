"""Statistics of one column, independent of the rows' order: the same rows give the same numbers, byte for byte."""

import heapq
import math
import zlib
from collections import Counter
from decimal import Decimal

from tasks.dictionary.facts import Statistics, Top
from tasks.dictionary.masking import clean, shape

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

    __slots__ = (
        "_booleans",
        "_chosen",
        "_counts",
        "_lengths",
        "_max_length",
        "_min_length",
        "_nulls",
        "_rows",
        "_sized",
    )

    def __init__(self) -> None:
        # By text: 0, False and 0.0 are one key of a dict, and which of them stays would depend on the order.
        self._counts: Counter[str] = Counter()
        self._rows = self._nulls = self._booleans = self._sized = self._lengths = self._max_length = 0
        self._min_length: int | None = None
        self._chosen: tuple[int, list[str]] | None = None  # kept with the rows it was chosen from

    def add(self, value: object, length: int | None = None) -> None:
        """One row's value; ``length`` where ``value`` is only its beginning. None with a length: known, not fetched."""
        self._rows += 1
        if value is None and length is None:
            self._nulls += 1
            return
        if isinstance(value, str):
            length = len(value) if length is None else length
            self._counts[value if length <= _WHOLE_VALUE else _digest(value, length)] += 1
        elif isinstance(value, bool):
            self._booleans += 1
            self._counts[str(value).lower()] += 1
        elif value is not None and not isinstance(value, bytes | memoryview):
            self._counts[plain(value)] += 1
        if length is not None:
            self._measure(length)

    def texts(self) -> list[str]:
        """Some distinct values, of long ones the beginning: at most 200, chosen by hash, not by the rows' order."""
        if self._chosen is None or self._chosen[0] != self._rows:
            ranked = heapq.nsmallest(_LOOKED_AT, map(_ranked, self._counts))
            self._chosen = (self._rows, [_visible(text) for _, text in ranked])
        return self._chosen[1]

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
        numbers = [(number, text) for text in self._counts if (number := as_number(text)) is not None]
        numeric = bool(numbers) and len(numbers) == len(self._counts)
        low, high = (min(numbers), max(numbers)) if numeric else (None, None)
        return Statistics(
            rows=self._rows,
            sampled=sampled,
            nulls=self._nulls,
            distinct=len(self._counts),
            min_length=self._min_length,
            max_length=self._max_length if self._sized else None,
            avg_length=round(self._lengths / self._sized, 1) if self._sized else None,
            minimum=None if low is None else _shown(low[1], literal=literal),
            maximum=None if high is None else _shown(high[1], literal=literal),
            negative=low is not None and low[0] < 0,
            true=self._counts["true"] if 0 < self._booleans == self.filled else None,
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
        frequent = sorted((-rows, text) for text, rows in self._counts.items() if rows > 1)[:_TOP]
        return tuple(Top(value=_shown(_visible(text), literal=literal), rows=-rows) for rows, text in frequent)


def as_number(text: str) -> int | float | None:
    """The text as a finite number; words like ``nan`` are none."""
    if not text.isascii() or not text[-1:].isdigit() or len(text) > _WHOLE_VALUE:
        return None
    try:
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def plain(value: object) -> str:
    """A value as text, a number without an exponent where it fits, so that its shape shows its size."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _WHOLE_VALUE:
        return f"{value:f}"[:_WHOLE_VALUE]
    return str(value)[:_WHOLE_VALUE]


def _shown(text: str, *, literal: bool) -> str:
    return clean(text)[:_WHOLE_VALUE] if literal else shape(text)


def _ranked(text: str) -> tuple[int, str]:
    return zlib.crc32(text.encode("utf-8", "replace")), text


def _digest(text: str, size: int) -> str:
    return f"{text[:_WHOLE_VALUE]}\0{size}:{zlib.crc32(text.encode('utf-8', 'replace')):08x}"


def _visible(text: str) -> str:
    head, cut, _ = text.partition("\0") if len(text) > _WHOLE_VALUE else (text, "", "")
    return head + ("…" if cut else "")
