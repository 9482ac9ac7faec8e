"""Connections to PostgreSQL, and the one place where its errors become ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.errorcodes
import psycopg2.extensions
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url

from core.errors import InputError, LedgerRefused, LedgerUnavailable, LlmsweepError
from db.overdue import answered_within

Cursor = psycopg2.extensions.cursor
Engine = sqlalchemy.Engine

OLDEST_SERVER = 14
"""The oldest major version of PostgreSQL that pgvector's iterative scans and our statements are tried on."""

_CONNECT_S = 10
_SILENCE = "silence_s"
_DRIVERS = {"postgresql", "postgres"}


class AlreadyThere(LedgerRefused):
    """A unique key is taken. ``key`` is PostgreSQL's word for which."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a role waits for a statement and for a lock, and the server for the role's next statement in a
    transaction, in seconds; 0: for ever. ``silence_s``: how long for the end of a transaction, by our own clock.
    """

    statement_s: int
    lock_s: int
    idle_s: int = 0
    silence_s: int = 0
    by_index: bool = False  # no table is read through, whatever its statistics, perhaps an empty table's, promise


ROLES = {
    # A stuck statement must not stop a heartbeat, nor a frozen process keep others from the rows that it has locked.
    "worker": Patience(statement_s=30, lock_s=10, idle_s=10, silence_s=40, by_index=True),
    "reader": Patience(statement_s=300, lock_s=10),  # exports and reports
    "producer": Patience(statement_s=0, lock_s=0),  # waits for another producer of the same name, migrates
}

# The value itself: out of range, too large, already there.
_REFUSED_CLASSES = {"22", "23", "54"}

# Away for now: connection lost, shutdown, too many connections, disk full, read-only, starting, timeouts, deadlock.
_AWAY_CLASSES = {"08", "53", "58"}
_AWAY_CODES = {"25006", "57P01", "57P02", "57P03", "57P05", "57014", "55P03", "40001", "40P01", "25P03", "25P04"}

_HINTS = {
    "3D000": "create the database, or correct the name in DATABASE_URL",
    "28P01": "correct the user or the password in DATABASE_URL",
    "28000": "correct the user or the password in DATABASE_URL, or the server's pg_hba.conf",
    "42501": "the database user needs the right to do this",
    "42P01": "the database has not been migrated: run `sweep doctor --migrate`",
    "42703": "the database has not been migrated: run `sweep doctor --migrate`",
}

# libpq gives no SQLSTATE for a refused connection, only the server's words.
_REFUSALS = (
    (re.compile(r'database ".*" does not exist'), "3D000"),
    (re.compile(r"password authentication failed|no password supplied"), "28P01"),
    (re.compile(r'role ".*" does not exist|no pg_hba\.conf entry|is not permitted to log in'), "28000"),
)


def normalise(url: str) -> URL:
    """Any way to write a PostgreSQL address, as SQLAlchemy's URL for psycopg2. Raises InputError."""
    hint = "for example postgresql://user:password@127.0.0.1:5432/llmsweep"
    if not url.strip():
        raise InputError("DATABASE_URL is empty", hint=hint)
    try:
        parsed = make_url(url.strip())
    except (sqlalchemy.exc.ArgumentError, ValueError) as exc:
        raise InputError("DATABASE_URL is not a database address", hint=hint) from exc
    if parsed.drivername.partition("+")[0] not in _DRIVERS:
        raise InputError(f"DATABASE_URL must name PostgreSQL, not {parsed.drivername!r}", hint=hint)
    if not parsed.database:
        raise InputError("DATABASE_URL names no database", hint=hint)
    return parsed.set(drivername="postgresql+psycopg2")


def connect(url: str | URL, *, role: str = "worker", pool: int = 4) -> sqlalchemy.Engine:
    """An engine with a pool of its own. Opens nothing yet; safe to build anywhere but at import time."""
    address = normalise(url) if isinstance(url, str) else url
    engine = sqlalchemy.create_engine(
        address,
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=_CONNECT_S,
        pool_use_lifo=True,
        connect_args=_socket_options(address),
    )
    patience = ROLES[role]

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        record.info[_SILENCE] = patience.silence_s
        with answered_within(connection, patience.silence_s):
            _set_patience(connection, patience)

    return engine


def dial(url: str | URL) -> psycopg2.extensions.connection:
    """A connection of its own, in autocommit, for advisory locks and LISTEN. Raises LedgerUnavailable, InputError."""
    address = normalise(url) if isinstance(url, str) else url
    dsn = address.set(drivername="postgresql").render_as_string(hide_password=False)
    with translated():
        connection: psycopg2.extensions.connection = psycopg2.connect(dsn, **_socket_options(address))
        connection.autocommit = True
        return connection


@contextmanager
def transaction(engine: sqlalchemy.Engine) -> Iterator[Cursor]:
    """One transaction on a bare psycopg2 cursor: committed at the end, rolled back on any error."""
    with _pooled(engine) as (pooled, cursor):
        try:
            yield cursor
            pooled.commit()
        except BaseException:
            if not _broken(pooled):
                pooled.rollback()
            raise


@contextmanager
def statement(engine: sqlalchemy.Engine) -> Iterator[Cursor]:
    """A cursor whose every ``execute`` is a transaction of its own, and one round trip where ``transaction`` has three.

    Statements that one text holds, parted by semicolons, are one transaction; each sees what was committed before it.
    """
    with _pooled(engine) as (pooled, cursor):
        cursor.connection.autocommit = True
        try:
            yield cursor
        finally:
            if not _broken(pooled):
                cursor.connection.autocommit = False


@contextmanager
def _pooled(engine: sqlalchemy.Engine) -> Iterator[tuple[Any, Any]]:
    """A connection and a cursor, watched, and errors as ours.

    A connection that broke is dropped with all idle ones beside it: what broke it, mostly a restart, broke them too.
    """
    with translated():
        pooled = engine.raw_connection()
        try:
            cursor: Any = pooled.cursor()
            try:
                with answered_within(cursor.connection, pooled.info[_SILENCE]):
                    yield pooled, cursor
            finally:
                cursor.close()
        except BaseException:
            if _broken(pooled):
                pooled.invalidate()
                engine.dispose()
            raise
        finally:
            pooled.close()


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors become LedgerUnavailable, LedgerRefused or InputError; faults in our own SQL pass as they are."""
    try:
        yield
    except sqlalchemy.exc.TimeoutError as exc:
        raise LedgerUnavailable("no database connection became free in time") from exc
    except sqlalchemy.exc.DBAPIError as exc:
        _raise_ours(exc.orig)
        raise
    except psycopg2.Error as exc:
        _raise_ours(exc)
        raise


def _raise_ours(exc: BaseException | None) -> None:
    ours = _ours(exc) if isinstance(exc, psycopg2.Error) else None
    if ours is not None:
        raise ours from exc


def _ours(exc: psycopg2.Error) -> LlmsweepError | None:
    words = _first_line(exc)
    code = exc.pgcode or next((code for pattern, code in _REFUSALS if pattern.search(str(exc))), "")
    if code in _HINTS:
        return InputError(f"PostgreSQL: {words}", hint=_HINTS[code])
    if code[:2] in _AWAY_CLASSES or code in _AWAY_CODES:
        return LedgerUnavailable(words)
    if code == psycopg2.errorcodes.UNIQUE_VIOLATION:
        return AlreadyThere(words, key=exc.diag.message_detail or "")
    if code[:2] in _REFUSED_CLASSES:
        return LedgerRefused(words)
    # No SQLSTATE: the connection broke or never was.
    lost = not code and isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError)
    return LedgerUnavailable(words) if lost or type(exc) is psycopg2.DatabaseError else None


def _first_line(exc: psycopg2.Error) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__


def _broken(pooled: Any) -> bool:
    return pooled.dbapi_connection is None or bool(pooled.dbapi_connection.closed)


def _socket_options(address: URL) -> dict[str, Any]:
    # A peer that vanished without a word is noticed within half a minute, connected or connecting.
    options = {
        "connect_timeout": _CONNECT_S,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
        "application_name": "llmsweep",
    }
    return {name: value for name, value in options.items() if name not in address.query}


def _set_patience(connection: Any, patience: Patience) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),
                set_config('idle_in_transaction_session_timeout', %s, false),
                set_config('enable_seqscan', %s, false)""",
            (
                f"{patience.statement_s}s",
                f"{patience.lock_s}s",
                f"{patience.idle_s}s",
                "off" if patience.by_index else "on",
            ),
        )
    connection.commit()
