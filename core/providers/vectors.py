"""Reads the ``data`` of an embeddings reply: base64 of little-endian float32, or lists of numbers."""

import binascii
from typing import Any

import numpy as np

from core.model import Vector


def decode(data: Any, *, count: int, dimensions: int | None) -> Vector:
    """float32, shape (count, dimension), in the order of the inputs. Raises ValueError: what is wrong with the data."""
    if not isinstance(data, list) or len(data) != count:
        raise ValueError(f"the answer holds {len(data) if isinstance(data, list) else 0} embeddings for {count} texts")
    rows = [_row(entry.get("embedding")) for entry in _in_order(data)]
    sizes = sorted({row.shape[0] for row in rows})
    if len(sizes) != 1 or sizes == [0]:
        raise ValueError(f"the embeddings have no common dimension: {sizes}")
    if dimensions is not None and sizes != [dimensions]:
        raise ValueError(f"the embeddings have {sizes[0]} dimensions, not {dimensions}")
    vectors = np.stack(rows)
    if not np.isfinite(vectors).all():
        raise ValueError("the embeddings hold values that are no numbers")
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


def _row(embedding: Any) -> Vector:
    if isinstance(embedding, str):
        try:
            return np.frombuffer(binascii.a2b_base64(embedding, strict_mode=True), dtype="<f4")
        except ValueError as exc:
            raise ValueError("an embedding is no base64 of float32 values") from exc
    try:
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, and is refused as such
            row = np.array(embedding, dtype=np.float32)
    except (TypeError, ValueError) as exc:
        raise ValueError("an embedding holds values that are no numbers") from exc
    if row.ndim != 1:
        raise ValueError("the answer holds an entry without a list of numbers")
    return row
