"""Questions to a PostgreSQL server before anything of ours is in it. psycopg2 alone: the supervisor must start fast."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql


class ProbeFailed(Exception):
    """The server cannot be reached, refuses us, or lacks something; the message never holds the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server says about itself. ``vector``: pgvector's version, None when it cannot be installed there."""

    version: tuple[int, int]
    vector: str | None
    writable: bool


def prepare_database(url: str) -> None:
    """Makes the URL's database and its vector extension where they are missing."""
    parts = urlsplit(_plain(url))
    name = parts.path.lstrip("/")
    with _session(urlunsplit(parts._replace(path="/postgres"))) as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with _session(url) as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")


def ask_server(url: str) -> Server:
    """Version, pgvector, and whether the server takes writes."""
    with _session(url) as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),"
            " (SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector')"
        )
        row = cursor.fetchone()
    if row is None:
        raise ProbeFailed("the server does not tell its version")
    number, standby, vector = row
    return Server(version=(number // 10000, number % 10000), vector=vector, writable=not standby)


@contextmanager
def _session(url: str) -> Iterator[psycopg2.extensions.cursor]:
    try:
        connection = psycopg2.connect(_plain(url), connect_timeout=5, application_name="llmsweep-probe")
    except psycopg2.ProgrammingError as exc:  # libpq could not read the URL, and quotes it, password and all
        raise ProbeFailed("this is no PostgreSQL address") from exc
    except (psycopg2.Error, UnicodeError) as exc:
        raise ProbeFailed(_first_line(exc)) from exc
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    except psycopg2.Error as exc:
        raise ProbeFailed(_first_line(exc)) from exc
    finally:
        connection.close()


def _plain(url: str) -> str:
    """A SQLAlchemy URL as libpq takes it: ``postgresql+psycopg2://`` becomes ``postgresql://``."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)


def _first_line(exc: Exception) -> str:
    text = str(exc).strip()
    return text.splitlines()[0] if text else type(exc).__name__
