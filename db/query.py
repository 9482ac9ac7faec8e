"""Rows of a query on a database that is not ours: read-only, streamed, every refusal in the user's words."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from core.errors import InputError
from db.foreign import describe_error, open_engine, start_deadline

_AT_ONCE = 500


def rows(url: str, query: str, *, timeout_s: float = 600) -> Iterator[Mapping[str, Any]]:
    """The query's rows by column name, in its order. Raises InputError, also half-way."""
    with open_engine(url, timeout_s=timeout_s) as connection:
        start_deadline(connection, timeout_s)
        # As the user wrote it: a colon or a per cent sign in it is no parameter.
        streaming = connection.execution_options(stream_results=True, max_row_buffer=_AT_ONCE, no_parameters=True)
        try:
            result = streaming.exec_driver_sql(query)
            _insist_on_names(result)
            yield from (dict(row) for row in result.mappings())
        except sa_exc.SQLAlchemyError as exc:
            said, timed_out = describe_error(exc)
            raise InputError(f"the query failed: {said}", hint="it ran out of time" if timed_out else "") from exc


def _insist_on_names(result: sa.CursorResult[Any]) -> None:
    if not result.returns_rows:
        raise InputError("the query returns no rows", hint="a SELECT is expected")
    names = list(result.keys())
    if len(set(names)) < len(names):
        raise InputError("the query names a column twice", hint="give its columns names of their own: ... AS name")
