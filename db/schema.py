"""The schema's version: migrate to it, ask for it, insist on it."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from sqlalchemy import text

from core.errors import InputError
from db.engine import OLDEST_SERVER, connect, translated

_LOCK = 0x6C6C6D73  # any number that all processes agree on; nobody else's
_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(url: str) -> None:
    """Brings the database to ``head()``; does nothing when it is there. Several processes may do it at once."""
    engine = connect(url, role="producer", pool=1)
    try:
        with translated(), engine.connect() as connection:
            _check_server(connection)
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                _upgrade(connection)
    finally:
        engine.dispose()


def revision(url: str) -> str | None:
    """The database's version; None: it has never been migrated."""
    engine = connect(url, pool=1)
    try:
        with translated(), engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def head() -> str:
    """The version that this program's code needs."""
    return _versions()[-1]


def check(url: str) -> None:
    """Raises InputError unless the database has exactly the version that this program needs."""
    found, needed = revision(url), head()
    if found is None:
        raise InputError("the database has not been migrated", hint="run `sweep doctor --migrate`")
    if found == needed:
        return
    if found in _versions():
        raise InputError(
            f"the database has schema version {found}, this program needs {needed}",
            hint="run `sweep doctor --migrate`",
        )
    raise InputError(
        f"the database has schema version {found}, which is newer than this program's {needed}",
        hint="update llmsweep on this machine",
    )


def _upgrade(connection: sqlalchemy.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 10 MB that a worker, which only checks, need not carry
    from alembic.config import Config  # noqa: PLC0415 - likewise

    found = _revision(connection)
    if found is not None and found not in _versions():
        raise InputError(
            f"the database has schema version {found}, which is newer than this program's {head()}",
            hint="update llmsweep on this machine",
        )
    if found is None:
        _check_vector(connection)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _check_server(connection: sqlalchemy.Connection) -> None:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    connection.rollback()
    if number < OLDEST_SERVER * 10_000:
        raise InputError(
            f"PostgreSQL {number // 10_000} is too old", hint=f"use PostgreSQL {OLDEST_SERVER} or newer, with pgvector"
        )


def _check_vector(connection: sqlalchemy.Connection) -> None:
    query = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
    if not connection.execute(query).scalar_one():
        raise InputError(
            "the PostgreSQL server lacks the pgvector extension",
            hint="install pgvector on the server, or use the image pgvector/pgvector",
        )


def _revision(connection: sqlalchemy.Connection) -> str | None:
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _versions() -> Sequence[str]:
    """Of all migrations, oldest first: the number that each one's file begins with is its revision."""
    return sorted(path.name.partition("_")[0] for path in _MIGRATIONS.glob("versions/[0-9]*_*.py"))
