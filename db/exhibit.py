"""Databases and tables for the demo's dictionary sweep."""

from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import Column, MetaData, Table, Text, text
from sqlalchemy.schema import CreateSchema

from db.engine import connect, normalise, translated

_SCHEMAS = ("celery", "flower")


def create_database(server_url: str, name: str) -> str:
    """A database on our server, made if it is not there, with the schemas of the demo; returns its URL."""
    url = normalise(server_url)
    engine = connect(url, role="producer", pool=1)
    try:
        with translated(), engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            known = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if known.scalar_one_or_none() is None:
                connection.execute(text(f'CREATE DATABASE "{name}"'))
    finally:
        engine.dispose()
    made = url.set(database=name)
    engine = connect(made, role="producer", pool=1)
    try:
        with translated(), engine.begin() as connection:
            for schema in _SCHEMAS:
                connection.execute(CreateSchema(schema, if_not_exists=True))
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    finally:
        engine.dispose()
    return made.render_as_string(hide_password=False)


def connect_args(schema: str) -> dict[str, str]:
    """What makes a foreign library create its tables in a schema of its own."""
    return {"options": f"-csearch_path={schema}"}


def create_table(url: str, schema: str, name: str, columns: Sequence[str]) -> None:
    """A table of text columns, made if it is not there."""
    table = Table(name, MetaData(schema=schema), *(Column(column, Text) for column in sorted(columns)))
    engine: sqlalchemy.Engine = connect(url, role="producer", pool=1)
    try:
        with translated(), engine.begin() as connection:
            table.create(connection, checkfirst=True)
    finally:
        engine.dispose()
