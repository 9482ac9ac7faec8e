"""Opening a database that is not ours: read-only, with a statement timeout, every refusal in the user's words."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy import exc as sa_exc
from sqlalchemy.pool import NullPool

from core.clock import SystemClock
from core.credentials import masked_text, without_passwords
from core.errors import InputError

_DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "postgres": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_PACKAGES = {"mysqldb": "mysqlclient", "psycopg2": "psycopg2-binary", "cx_oracle": "oracledb"}
_TIMEOUTS = (
    "statement timeout",
    "interrupted",
    "maximum statement execution time",
    "max_statement_time",
    "lock timeout",
)
_EXAMPLES = "for example postgresql://user@host/name, mysql://user@host/name or sqlite:///path/to/file.db"
_PATIENT = {"postgresql", "mysql", "mariadb"}  # their drivers wait for ever, or for minutes
_CONNECT_S = 10
_DEADLINE = "llmsweep_deadline"


@contextlib.contextmanager
def open_engine(url: str, *, timeout_s: float) -> Iterator[sa.Connection]:
    """One connection that cannot write. Raises InputError."""
    engine = _engine(url, timeout_s)
    try:
        with _connect(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def start_deadline(connection: sa.Connection, timeout_s: float) -> None:
    """SQLite has no statement timeout of its own: its progress handler stops what runs past this."""
    connection.info[_DEADLINE] = SystemClock().monotonic() + timeout_s


def describe_error(exc: Exception) -> tuple[str, bool]:
    """What the database said, on one line and without the statement, and whether it was the timeout."""
    said = str(getattr(exc, "orig", None) or exc).strip().splitlines() or [type(exc).__name__]
    text = said[0][:300]
    return text, any(mark in text.lower() for mark in _TIMEOUTS)


def _engine(url: str, timeout_s: float) -> sa.Engine:
    parsed = _parse(url)
    options: dict[str, Any] = {"poolclass": NullPool}
    if parsed.get_backend_name() == "sqlite":
        options["creator"] = _sqlite_creator(parsed)
    elif parsed.get_backend_name() in _PATIENT and "connect_timeout" not in parsed.query:
        options["connect_args"] = {"connect_timeout": _CONNECT_S}
    try:
        engine = sa.create_engine(parsed, **options)
    except sa_exc.NoSuchModuleError as exc:
        raise InputError(f"unknown kind of database: {parsed.drivername}", hint=_EXAMPLES) from exc
    except ImportError as exc:
        module = (exc.name or parsed.get_driver_name()).partition(".")[0]
        package = _PACKAGES.get(module.lower(), module)
        raise InputError(f"no driver for {parsed.drivername}: {exc}", hint=f"pip install {package}") from exc
    except (sa_exc.ArgumentError, TypeError) as exc:
        said = without_passwords(str(exc), parsed.render_as_string(hide_password=False))
        raise InputError(f"not usable as a database URL: {_shown(parsed)}: {said}", hint=_EXAMPLES) from exc
    if engine.dialect.is_async:
        sync = parsed.get_backend_name()
        raise InputError(f"{parsed.drivername} is an asynchronous driver", hint=f"write {sync}://... instead")
    event.listen(engine, "connect", lambda raw, _record: _guard(engine.dialect, raw, timeout_s))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "engine_connect", _sqlite_deadline)
    return engine


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa_exc.ArgumentError, ValueError) as exc:
        scheme = url.partition("://")[0] if "://" in url else url[:80]
        raise InputError(f"not a database URL: {scheme}", hint=_EXAMPLES) from exc
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _connect(engine: sa.Engine) -> sa.Connection:
    try:
        connection = engine.connect()
    except (sa_exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error, OSError) as exc:
        said = without_passwords(describe_error(exc)[0], engine.url.render_as_string(hide_password=False))
        raise InputError(f"cannot open {_shown(engine.url)}: {said}", hint="check address, name and access") from exc
    if engine.dialect.name == "postgresql":  # one snapshot a table, whatever is written meanwhile
        connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection


def _shown(url: sa.URL) -> str:
    return masked_text(url.render_as_string(hide_password=False))


def _sqlite_creator(url: sa.URL) -> Any:
    database = url.database or ""
    if database.startswith("file:"):
        database = database[5:].partition("?")[0]
    path = Path(database)
    if not database or database == ":memory:":
        raise InputError("an SQLite URL needs a file", hint="sqlite:///relative.db or sqlite:////absolute/path.db")
    if not path.is_file():
        raise InputError(f"no such SQLite database: {path}")

    def creator() -> sqlite3.Connection:
        raw = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{_sqlite_mode(path)}", uri=True, timeout=10)
        raw.text_factory = lambda data: data.decode("utf-8", "replace")
        return raw

    return creator


def _sqlite_mode(path: Path) -> str:
    # A write-ahead log needs files beside the database even for reading. Where none can be made, nobody writes either.
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return "mode=ro&immutable=1" if frozen else "mode=ro"


def _guard(dialect: sa.Dialect, raw: Any, timeout_s: float) -> None:
    """Nothing that is sent on this connection can write, or run for ever."""
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    statements = {
        "postgresql": [
            f"SET statement_timeout = {int(timeout_s * 1000)}",
            "SET lock_timeout = 5000",
            "SET default_transaction_read_only = on",
        ],
        "mysql": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_execution_time = {int(timeout_s * 1000)}"],
        "mariadb": ["SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_statement_time = {timeout_s:g}"],
        "sqlite": ["PRAGMA query_only = 1"],
    }.get(name, [])
    cursor = raw.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    raw.commit()


def _sqlite_deadline(connection: sa.Connection) -> None:
    clock = SystemClock()

    def overdue() -> int:
        return int(clock.monotonic() > connection.info.get(_DEADLINE, float("inf")))

    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        raw.set_progress_handler(overdue, 100_000)
