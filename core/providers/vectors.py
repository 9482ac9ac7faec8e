"""Reads the ``data`` of an embeddings reply: base64 of little-endian float32, or lists of numbers.

One bad vector among good ones is a matter of its own text: it is named, and the others are kept, for all are paid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pybase64

from core.model import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """``vectors``: float32, shape (texts, dimension), in the texts' order. ``flaws``: row -> why it is not usable."""

    vectors: Vector
    flaws: Mapping[int, str]


def decode(data: Any, *, count: int, dimensions: int | None) -> Decoded:
    """The vectors of ``count`` texts. Raises ValueError when none is usable, or nobody can tell which is whose."""
    if not isinstance(data, list) or len(data) != count:
        raise ValueError(f"the answer holds {len(data) if isinstance(data, list) else 0} embeddings for {count} texts")
    rows = [_row(entry.get("embedding")) for entry in _in_order(data)]
    size = dimensions or _common([row.size for row in rows if not isinstance(row, str)])
    flaws = {at: flaw for at, row in enumerate(rows) if (flaw := _misfit(row, size))}
    vectors = _stacked(rows, flaws, size)
    flaws |= unusable(vectors, known=flaws)
    if len(flaws) == count:
        raise ValueError(flaws[0])
    return Decoded(vectors=vectors, flaws=flaws)


def unusable(vectors: Vector, *, known: Mapping[int, str]) -> dict[int, str]:
    """Rows that no similarity can be computed of, but for the ``known`` ones: row -> why."""
    infinite = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    zero = np.flatnonzero(np.count_nonzero(vectors, axis=1) == 0)
    found = {
        **dict.fromkeys(infinite.tolist(), "the embedding holds values that are not finite numbers"),
        **dict.fromkeys(zero.tolist(), "the embedding is all zeros"),
    }
    return {row: why for row, why in found.items() if row not in known}


def _common(sizes: list[int]) -> int:
    """The dimension that most of the vectors have."""
    ranked = Counter(sizes).most_common(2)
    if not ranked:
        return 0  # no row can be read: each says why
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        raise ValueError(f"the embeddings have no common dimension: {sorted({*sizes})}")
    return ranked[0][0]


def _misfit(row: Vector | str, size: int) -> str:
    if isinstance(row, str):
        return row
    if not row.size:
        return "the embedding is empty"
    return "" if row.size == size else f"the embedding has {row.size} dimensions, not {size}"


def _stacked(rows: list[Vector | str], flaws: Mapping[int, str], size: int) -> Vector:
    if not flaws:
        return np.stack([row for row in rows if not isinstance(row, str)])
    vectors: Vector = np.full((len(rows), size), np.nan, dtype=np.float32)
    for at, row in enumerate(rows):
        if at not in flaws:
            vectors[at] = row
    return vectors


def _in_order(data: list[Any]) -> list[dict[str, Any]]:
    if not all(isinstance(entry, dict) for entry in data):
        raise ValueError("the answer holds embeddings that are no objects")
    # Servers that leave the index out send the embeddings in order.
    indexes = [entry.get("index", position) for position, entry in enumerate(data)]
    if indexes == list(range(len(data))):
        return data
    if not all(isinstance(index, int) for index in indexes) or sorted(indexes) != list(range(len(data))):
        raise ValueError("the embeddings' indexes are not those of the texts")
    return [entry for _, entry in sorted(zip(indexes, data, strict=True), key=lambda pair: int(pair[0]))]


def _row(embedding: Any) -> Vector | str:
    """One vector, or why it is none."""
    if isinstance(embedding, str):
        try:
            return np.frombuffer(pybase64.b64decode(embedding, validate=True), dtype="<f4")
        except ValueError:
            return "the embedding is no base64 of float32 values"
    try:
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, and is refused as such
            row = np.array(embedding, dtype=np.float32)
    except (TypeError, ValueError):
        return "the embedding holds values that are no numbers"
    return row if row.ndim == 1 else "the embedding is no list of numbers"
