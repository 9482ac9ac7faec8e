"""Bounded samples of a foreign table's rows: the same rows at each run, and never a long value over the wire."""

import contextlib
import itertools
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.sql.elements import quoted_name

from core.errors import LlmsweepError
from db.foreign import describe_error, start_deadline
from db.introspect import Category, Column, Database, Table

TEXT_PREFIX = 256
"""Characters of a value that are read; its length is read beside it."""

Cell: TypeAlias = tuple[Any, int | None]
"""A value (text cut to ``TEXT_PREFIX``, None for binary) and its full length; (None, None) is NULL."""

# Each table's statement is run once: caching thousands of them would only take memory.
_STREAMED = {"stream_results": True, "yield_per": 500, "compiled_cache": None}
_SORT_COLUMNS = 32
_QUOTED_ALWAYS = {"postgresql", "sqlite", "mysql", "mariadb"}


class Unreadable(LlmsweepError):
    """The rows of one table cannot be read. ``timed_out``: it was the statement timeout."""

    def __init__(self, why: str, *, timed_out: bool) -> None:
        super().__init__(why)
        self.timed_out = timed_out


def rows(
    database: Database, table: Table, columns: Sequence[Column], limit: int
) -> Generator[tuple[Cell, ...], None, None]:
    """At most ``limit`` rows, one (value, length) pair a column.

    Raises Unreadable. Which rows: the first by primary key, else by the columns' values.
    """
    connection = database.connection
    dialect = connection.dialect.name
    source = _source(dialect, table)
    pairs = itertools.chain.from_iterable(_projection(dialect, source.c[column.name], column) for column in columns)
    query = sa.select(*(expression.label(f"p{n}") for n, expression in enumerate(pairs))).select_from(source)
    start_deadline(connection, database.timeout_s)
    try:
        query = query.order_by(*_order(connection, source, table, limit)).limit(limit)
        result = connection.execute(query, execution_options=_STREAMED)
        with contextlib.closing(result):
            for row in result:
                yield tuple((row[n], row[n + 1]) for n in range(0, len(row), 2))
    except (sa_exc.SQLAlchemyError, ValueError, OverflowError) as exc:
        connection.rollback()
        why, timed_out = describe_error(exc)
        raise Unreadable(why, timed_out=timed_out) from exc


def _source(dialect: str, table: Table) -> sa.TableClause:
    # Elsewhere a lower-case name may stand for an upper-case one, and quoting would change its meaning.
    quote = True if dialect in _QUOTED_ALWAYS else None
    return sa.table(
        quoted_name(table.name.name, quote),
        *(sa.column(quoted_name(column.name, quote)) for column in table.columns),
        schema=quoted_name(table.name.schema, quote) if table.name.schema else None,
    )


def _projection(
    dialect: str, column: sa.ColumnClause[Any], of: Column
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """The value and its length, whatever a driver makes of rare types."""
    if dialect == "sqlite":  # any value may stand in any column
        textual = sa.func.typeof(column).in_(["text", "blob"])
        return sa.case((textual, sa.func.substr(column, 1, TEXT_PREFIX)), else_=column), sa.func.length(column)
    if of.category is Category.BINARY:
        return sa.null(), sa.func.length(column)
    if of.category in {Category.NUMBER, Category.BOOLEAN}:
        return column, sa.null()
    if dialect == "postgresql":
        text = sa.cast(column, sa.Text)
        return sa.func.substr(text, 1, TEXT_PREFIX), sa.func.length(text)
    if dialect in {"mysql", "mariadb"}:
        text = sa.cast(column, sa.Text)
        return sa.func.substr(text, 1, TEXT_PREFIX), sa.func.char_length(text)
    cut = sa.cast(column, sa.String(TEXT_PREFIX))
    return cut, sa.func.length(cut)


def _order(connection: sa.Connection, source: sa.TableClause, table: Table, limit: int) -> list[sa.ColumnElement[Any]]:
    if table.primary_key:
        return [source.c[name] for name in table.primary_key]
    beyond = sa.select(sa.literal(1)).select_from(source).limit(1).offset(limit - 1)
    if connection.execute(beyond).first() is None:
        return []  # all rows are read, and what is computed of them does not depend on their order
    sortable = [column for column in table.columns if column.category is not Category.BINARY][:_SORT_COLUMNS]
    return [_projection(connection.dialect.name, source.c[column.name], column)[0] for column in sortable]
