"""Tables and views of a database as field tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from core.errors import InputError
from db.introspect import Broken, Column, Database, Table, TableName, open_database
from db.sampling import Unreadable, rows
from tasks.dictionary.fields import FieldTable, Policy, SourceField
from tasks.dictionary.keys import joined
from tasks.dictionary.statistics import Profile, row_limit
from tasks.kind import Problem

_COLUMNS_A_QUERY = 50  # bounds memory, and stays far below every dialect's limit of result columns


def tables(
    url: str,
    *,
    schema_filter: Callable[[str], bool] | None,
    table_filter: Callable[[TableName], bool],
    timeout_s: float,
    policy: Policy,
) -> Iterator[FieldTable | Problem]:
    """Streams the database, sorted by name. A table that cannot be read is a Problem, the others go on."""
    with open_database(url, timeout_s=timeout_s) as database:
        names = [name for name in database.names(schema_filter) if table_filter(name)]
        if not names:
            raise InputError("the database has no table that fits", hint="see the schemas and tables filters")
        several = len({name.schema for name in names}) > 1
        for found in database.tables(names):
            if isinstance(found, Broken):
                yield Problem(where=str(found.name), what=found.why)
                continue
            yield from _described(database, found, several=several, policy=policy)
            database.release()


def _described(database: Database, table: Table, *, several: bool, policy: Policy) -> Iterator[FieldTable | Problem]:
    profiles: dict[str, Profile] = {}
    sampled = False
    if policy.statistics:
        try:
            profiles, sampled = _profiles(database, table, policy)
        except Unreadable as exc:
            if not exc.timed_out:
                yield Problem(where=str(table.name), what=str(exc))
                return
            yield Problem(where=str(table.name), what=f"described without statistics: {exc}", by_design=True)
    yield FieldTable(
        name=table.name.name,
        kind="view" if table.name.is_view else "table",
        container=table.name.schema,
        qualified=several,
        comment=table.comment,
        key_width=max(1, len(table.primary_key)),
        sampled=sampled,
        fields=[_field(table, column, profiles.get(column.name), several=several) for column in table.columns],
    )


def _profiles(database: Database, table: Table, policy: Policy) -> tuple[dict[str, Profile], bool]:
    """A profile a column, and whether the table has more rows than were read."""
    limit = row_limit(policy.sample_rows, len(table.columns))
    profiles: dict[str, Profile] = {}
    sampled = False
    for start in range(0, len(table.columns), _COLUMNS_A_QUERY):
        columns = table.columns[start : start + _COLUMNS_A_QUERY]
        batch = [Profile() for _ in columns]
        sampled = _fill(database, table, columns, batch, limit)
        profiles |= {column.name: profile for column, profile in zip(columns, batch, strict=True)}
    return profiles, sampled


def _fill(database: Database, table: Table, columns: Sequence[Column], batch: Sequence[Profile], limit: int) -> bool:
    with closing(rows(database, table, columns, limit + 1)) as found:
        for number, row in enumerate(found):
            if number == limit:
                return True
            for profile, (value, length) in zip(batch, row, strict=True):
                profile.add(value, length)
    return False


def _field(table: Table, column: Column, profile: Profile | None, *, several: bool) -> SourceField:
    key = table.primary_key
    return SourceField(
        name=column.name,
        type=column.type,
        category=column.category,
        nullable=column.nullable and column.name not in key,
        primary_key=column.name in key,
        references=tuple(
            _target(foreign.target, foreign.referred, foreign.columns.index(column.name), several=several)
            for foreign in table.foreign_keys
            if column.name in foreign.columns
        ),
        unique=(column.name,) in table.uniques or key == (column.name,),
        unique_with=next(
            (
                tuple(n for n in names if n != column.name)
                for names in table.uniques
                if len(names) > 1 and column.name in names
            ),
            (),
        ),
        default=column.default,
        generated=column.generated,
        comment=column.comment,
        labels=len(column.labels),
        profile=profile,
    )


def _target(target: TableName, referred: Sequence[str], position: int, *, several: bool) -> str:
    # SQLite allows a reference without columns: the other table's primary key is meant.
    column = referred[position : position + 1]
    return joined(*([target.schema] if several else []), target.name, *column)
