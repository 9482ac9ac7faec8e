"""Parquet files as field tables: types as the file tells them, statistics from its first rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import arro3.core as arrow

from db.introspect import Category
from tasks import parquet
from tasks.dictionary.fields import FieldTable, Policy, SourceField
from tasks.dictionary.statistics import Profile, row_limit
from tasks.kind import Problem

_BATCH = 1_000

_CATEGORIES: Sequence[tuple[Callable[[Any], bool], Category]] = (
    (arrow.DataType.is_dictionary, Category.TEXT),  # values that repeat, nearly always texts
    (arrow.DataType.is_string, Category.TEXT),
    (arrow.DataType.is_large_string, Category.TEXT),
    (arrow.DataType.is_string_view, Category.TEXT),
    (arrow.DataType.is_boolean, Category.BOOLEAN),
    (arrow.DataType.is_numeric, Category.NUMBER),
    (arrow.DataType.is_decimal, Category.NUMBER),
    (arrow.DataType.is_temporal, Category.TEMPORAL),
    (arrow.DataType.is_binary, Category.BINARY),
    (arrow.DataType.is_large_binary, Category.BINARY),
    (arrow.DataType.is_fixed_size_binary, Category.BINARY),
    (arrow.DataType.is_list, Category.ARRAY),
    (arrow.DataType.is_large_list, Category.ARRAY),
    (arrow.DataType.is_fixed_size_list, Category.ARRAY),
    (arrow.DataType.is_struct, Category.JSON),
    (arrow.DataType.is_map, Category.JSON),
)


def table(path: Path, name: str, *, policy: Policy) -> FieldTable | Problem:
    """The file's columns, or why it is no table."""
    try:
        found = parquet.read(path, batch_size=_BATCH)
        profiles = [Profile() for _ in found.fields]
        limit = row_limit(policy.sample_rows, len(profiles))
        sampled = policy.statistics and _fill(profiles, found, limit)
    except (OSError, ValueError) as exc:
        return Problem(where=str(path), what=getattr(exc, "strerror", None) or str(exc))
    return FieldTable(
        name=name,
        kind="Parquet file",
        sampled=sampled,
        fields=[
            SourceField(
                name=field.name,
                type=_type(field.type),
                category=next((category for fits, category in _CATEGORIES if fits(field.type)), Category.OTHER),
                nullable=field.nullable,
                comment=_comment(field),
                profile=profile if policy.statistics else None,
            )
            for field, profile in zip(found.fields, profiles, strict=True)
        ],
    )


def _fill(profiles: Sequence[Profile], found: parquet.Reader, limit: int) -> bool:
    """Whether rows were left unread."""
    for columns in found.batches():
        rows = len(columns[0]) if columns else 0
        for profile, values in zip(profiles, columns, strict=True):
            for value in values[:limit]:
                profile.add(value)
        limit -= rows
        if limit < 0:
            return True
    return False


def _type(given: arrow.DataType) -> str:
    """``Int64`` of ``arro3.core.DataType<Int64>``."""
    return str(given).strip().removeprefix("arro3.core.DataType<").removesuffix(">").lower()


def _comment(field: arrow.Field) -> str:
    """Writers that know of comments keep them in the column's metadata."""
    told = {bytes(key): bytes(value) for key, value in field.metadata.items()}
    return next((told[key].decode("utf-8", "replace") for key in (b"comment", b"description") if key in told), "")
