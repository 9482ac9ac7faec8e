"""A foreign database's catalogue as frozen values: tables, columns, keys. Only ever reads.

Identifiers come from the catalogue and are quoted by SQLAlchemy: a name with quotes or ``;`` is just a name.
"""

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine.reflection import Inspector, ObjectKind, ObjectScope

from core.errors import InputError
from db.foreign import describe_error, open_engine

_BATCH = 100  # tables a round of catalogue queries
_SYSTEM_SCHEMAS = {"information_schema", "performance_schema", "mysql", "sys"}


class Category(StrEnum):
    """What a column's type holds, across dialects."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEMPORAL = "temporal"
    BINARY = "binary"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """Where a table is. ``schema`` is empty where the database has none."""

    schema: str
    name: str
    is_view: bool = False

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the catalogue tells it. ``labels``: the values of an ENUM type, which are data of the user's."""

    name: str
    type: str
    category: Category
    nullable: bool = True
    default: str = ""
    comment: str = ""
    generated: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """``columns[i]`` refers to ``target.referred[i]``."""

    columns: tuple[str, ...]
    target: TableName
    referred: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table or view with its keys. ``uniques``: column sets of unique constraints and indexes."""

    name: TableName
    columns: tuple[Column, ...]
    comment: str = ""
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A table or view that could not be read, and what the database said."""

    name: TableName
    why: str


class Database:
    """One read-only connection to a foreign database."""

    def __init__(self, connection: sa.Connection, *, timeout_s: float) -> None:
        self.connection = connection
        self._dialect = connection.dialect
        self.timeout_s = timeout_s

    def names(self, wanted_schema: Callable[[str], bool] | None = None) -> list[TableName]:
        """All tables and views, sorted. Without ``wanted_schema``: the user's schemas (PostgreSQL) or the default.

        Raises InputError when the catalogue cannot be read.
        """
        try:
            return sorted(self._names(wanted_schema), key=lambda name: (name.schema, name.name))
        except sa_exc.SQLAlchemyError as exc:
            raise InputError(f"cannot read the database's catalogue: {describe_error(exc)[0]}") from exc
        finally:
            self.connection.rollback()

    def _names(self, wanted_schema: Callable[[str], bool] | None) -> set[TableName]:
        found: set[TableName] = set()
        inspector = sa.inspect(self.connection)
        for schema in self._schemas(inspector, wanted_schema):
            tables = set(inspector.get_table_names(schema=schema or None)) - self._partitions(schema)
            views = set(inspector.get_view_names(schema=schema or None))
            with contextlib.suppress(NotImplementedError):
                views |= set(inspector.get_materialized_view_names(schema=schema or None))
            found |= {TableName(schema=schema, name=name) for name in tables}
            found |= {TableName(schema=schema, name=name, is_view=True) for name in views - tables}
        return found

    def tables(self, names: Sequence[TableName]) -> Iterator[Table | Broken]:
        """The tables, in order, reflected in batches: memory stays flat over thousands of them."""
        for schema, group in itertools.groupby(names, key=lambda name: name.schema):
            for batch in _batched(group):
                yield from self._batch(schema, batch)

    def release(self) -> None:
        """Ends the read transaction, so that no lock or snapshot outlives a table."""
        self.connection.rollback()

    # ---- catalogue

    def _schemas(self, inspector: Inspector, wanted: Callable[[str], bool] | None) -> list[str]:
        if self._dialect.name == "sqlite" and wanted is None:
            return [""]
        schemas = [name for name in inspector.get_schema_names() if not _is_system(name)]
        if wanted is not None:
            return sorted(name for name in schemas if wanted(name))
        if self._dialect.name == "postgresql":
            return sorted(schemas)
        return [inspector.default_schema_name or ""]

    def _partitions(self, schema: str) -> set[str]:
        # A partition has its parent's columns: describing a thousand of them says nothing new.
        if self._dialect.name != "postgresql":
            return set()
        query = sa.text(
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relispartition AND n.nspname = :schema"
        )
        return set(self.connection.scalars(query, {"schema": schema}))

    def _batch(self, schema: str, names: Sequence[TableName]) -> Iterator[Table | Broken]:
        try:
            tables = self._reflect(schema, names)
        except sa_exc.SQLAlchemyError as exc:
            self.connection.rollback()
            if len(names) == 1:
                yield Broken(name=names[0], why=describe_error(exc)[0])
                return
            for name in names:
                yield from self._batch(schema, [name])
            return
        for name in names:
            yield tables.get(name.name) or Broken(name=name, why="the catalogue does not tell its columns")

    def _reflect(self, schema: str, names: Sequence[TableName]) -> dict[str, Table]:
        postgres = self._dialect.name == "postgresql"
        if postgres:  # so that each foreign key names its target's schema
            self.connection.execute(sa.text("SET LOCAL search_path = pg_catalog"))
        wanted: dict[str, Any] = {
            "schema": schema or None,
            "filter_names": [name.name for name in names],
            "kind": ObjectKind.ANY,
            "scope": ObjectScope.ANY,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sa_exc.SAWarning)  # a type of an extension is not our concern
            inspector = sa.inspect(self.connection)
            columns = inspector.get_multi_columns(**wanted)
            primary: dict[Any, Any] = dict(inspector.get_multi_pk_constraint(**wanted))
            foreign = inspector.get_multi_foreign_keys(**wanted)
            indexes = inspector.get_multi_indexes(**wanted)
            uniques = _optional(inspector.get_multi_unique_constraints, wanted)
            comments = _optional(inspector.get_multi_table_comment, wanted)
        tables: dict[str, Table] = {}
        for name in names:
            key = (schema or None, name.name)
            if not columns.get(key):
                continue
            tables[name.name] = Table(
                name=name,
                columns=self._columns(name, columns[key]),
                comment=str((comments.get(key) or {}).get("text") or ""),
                primary_key=_names((primary.get(key) or {}).get("constrained_columns")),
                foreign_keys=tuple(_foreign_key(schema, found) for found in foreign.get(key) or ()),
                uniques=_uniques(uniques.get(key), indexes.get(key)),
            )
        self.connection.rollback()
        return tables

    def _columns(self, table: TableName, reflected: Sequence[Any]) -> tuple[Column, ...]:
        unknown = any(isinstance(column["type"], sa.types.NullType) for column in reflected)
        types: dict[str, str] = {}
        if unknown and self._dialect.name == "postgresql":
            types = self._type_names(table)
        return tuple(
            Column(
                name=column["name"],
                type=types.get(str(column["name"])) or _type_name(column["type"], self._dialect),
                category=category(column["type"]),
                nullable=bool(column.get("nullable", True)),
                default=str(column.get("default") or ""),
                comment=str(column.get("comment") or ""),
                generated=bool(column.get("computed") or column.get("identity")),
                labels=_labels(column["type"]),
            )
            for column in reflected
        )

    def _type_names(self, table: TableName) -> dict[str, str]:
        query = sa.text(
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a"
            " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = :schema AND c.relname = :name AND a.attnum > 0 AND NOT a.attisdropped"
        )
        found = self.connection.execute(query, {"schema": table.schema, "name": table.name})
        return {row[0]: row[1] for row in found}


@contextlib.contextmanager
def open_database(url: str, *, timeout_s: float = 30) -> Iterator[Database]:
    """Connects, read-only. Raises InputError: bad URL, missing driver, no such database, no access."""
    with open_engine(url, timeout_s=timeout_s) as connection:
        yield Database(connection, timeout_s=timeout_s)


def category(type_: sa.types.TypeEngine[Any]) -> Category:
    """The category of a reflected type."""
    if isinstance(type_, mysql.TINYINT) and type_.display_width == 1:
        return Category.BOOLEAN
    for classes, found in _CATEGORIES:
        if isinstance(type_, classes):
            return found
    return Category.OTHER


_CATEGORIES: tuple[tuple[tuple[type[Any], ...], Category], ...] = (
    ((sa.types.Boolean,), Category.BOOLEAN),
    ((sa.types.Integer, sa.types.Numeric, sa.types.Float), Category.NUMBER),
    ((sa.types.Date, sa.types.DateTime, sa.types.Time, sa.types.Interval, postgresql.INTERVAL), Category.TEMPORAL),
    ((sa.types.LargeBinary, postgresql.BYTEA), Category.BINARY),
    ((sa.types.JSON,), Category.JSON),
    ((sa.types.ARRAY,), Category.ARRAY),
    ((sa.types.Enum, sa.types.Uuid, sa.types.String), Category.TEXT),
)


def _type_name(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    if isinstance(type_, mysql.ENUM | mysql.SET):  # MySQL spells the labels out, and they are data
        return f"{type(type_).__name__}({len(_labels(type_))} values)"
    try:
        return type_.compile(dialect=dialect)
    except sa_exc.CompileError:
        return "unknown"


def _labels(type_: Any) -> tuple[str, ...]:
    return tuple(getattr(type_, "enums", None) or getattr(type_, "values", None) or ())


def _is_system(schema: str) -> bool:
    return schema.lower() in _SYSTEM_SCHEMAS or schema.startswith(("pg_toast", "pg_temp", "pg_catalog"))


def _optional(reflect: Callable[..., Any], wanted: dict[str, Any]) -> dict[Any, Any]:
    try:
        return dict(reflect(**wanted))
    except NotImplementedError:  # the dialect has no such thing
        return {}


def _names(found: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(found or ())


def _foreign_key(schema: str, found: Any) -> ForeignKey:
    target = TableName(schema=found.get("referred_schema") or schema, name=found["referred_table"])
    return ForeignKey(
        columns=_names(found["constrained_columns"]), target=target, referred=_names(found["referred_columns"])
    )


def _uniques(constraints: Any, indexes: Any) -> tuple[tuple[str, ...], ...]:
    sets = {_names(found["column_names"]) for found in constraints or ()}
    for index in indexes or ():
        partial = any("where" in str(option) for option in index.get("dialect_options") or ())
        if index.get("unique") and not partial and None not in index["column_names"]:
            sets.add(_names(index["column_names"]))
    return tuple(sorted(sets))


def _batched(names: Iterator[TableName]) -> Iterator[tuple[TableName, ...]]:
    while batch := tuple(itertools.islice(names, _BATCH)):
        yield batch
