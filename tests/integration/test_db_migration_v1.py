"""The legacy table becomes rows of ours, once, and whatever differs is said."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from core.errors import InputError
from db.backfill import Parity, backfill, compare
from db.engine import connect, transaction
from db.legacy import open_legacy
from db.study import recent, search

COLUMNS = (
    "id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, response TEXT NOT NULL, provider VARCHAR(50) NOT NULL,"
    " tokens INTEGER, latency_ms FLOAT, metadata JSON, created_at DATETIME"
)


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


def legacy(folder: Path, rows: int, *, batch_column: bool = True) -> str:
    """A legacy database with odd text, missing values and batches of three; returns its URL."""
    path = folder / "legacy.db"
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE inference_runs ({COLUMNS}{', batch_id VARCHAR' if batch_column else ''})")
        for n in range(1, rows + 1):
            known = n % 5 != 0
            row = (
                n * 2,
                f'prompt {n} "quoted" \\ ü\n',
                f"response {n}",
                "azure" if n % 2 else "openai",
                n if known else None,
                n / 3 if known else None,
                json.dumps({"model": f"m{n % 3}", "temperature": 0.5, "text": "not the answer"}) if known else None,
                f"2024-03-{1 + n % 28:02d} 10:11:12.{n:06d}",
            )
            batch = (None if n % 4 == 0 else f"batch-{n // 3}",) if batch_column else ()
            values = row + batch
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO inference_runs VALUES ({marks})", values)
    db.close()
    return f"sqlite:///{path}"


def move(engine: sqlalchemy.Engine, url: str) -> tuple[int, Parity]:
    with open_legacy(url) as database:
        written = backfill(engine, database.pages())
        return written, compare(engine, database.pages())


def test_every_row_and_batch_arrives_and_compares_equal(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    written, parity = move(engine, legacy(tmp_path, 2345))
    assert (written, parity.legacy, parity.found) == (2345, 2345, 2345)
    assert parity.holds, parity
    assert len(parity.batches) > 700
    assert parity.first is not None
    assert (parity.first.year, parity.first.month) == (2024, 3)


def test_a_second_run_writes_nothing(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    url = legacy(tmp_path, 50)
    move(engine, url)
    written, parity = move(engine, url)
    assert written == 0
    assert parity.holds
    with transaction(engine) as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM raw_calls), (SELECT count(*) FROM group_members)")
        assert cursor.fetchone() == (50, 38)


def test_a_row_that_differs_or_lacks_is_named(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    url = legacy(tmp_path, 20)
    move(engine, url)
    with sqlite3.connect(tmp_path / "legacy.db") as db:
        db.execute("UPDATE inference_runs SET tokens = 12345 WHERE id = 4")
        db.execute(
            "INSERT INTO inference_runs (id, prompt, response, provider, batch_id) VALUES (99, 'p', 'r', 'x', 'b')"
        )
    db.close()
    with open_legacy(url) as database:
        parity = compare(engine, database.pages())
    assert not parity.holds
    assert (parity.legacy, parity.found) == (21, 20)
    assert parity.differing == ["row 4: tokens"]
    assert parity.wrong_batches == {"b": (1, 0)}


def test_the_rows_read_like_any_other_call(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    move(engine, legacy(tmp_path, 9, batch_column=False))
    newest = recent(engine, limit=1)[0]
    assert (newest.provider, newest.prompt, newest.response) == ("azure", 'prompt 9 "quoted" \\ ü\n', "response 9")
    assert [row.response for row in search(engine, 'PROMPT 3 "quoted"')] == ["response 3"]


@pytest.mark.parametrize("url", ["", "sqlite:////nowhere/at/all.db", "nonsense"])
def test_a_legacy_database_that_is_not_there_is_bad_input(url: str) -> None:
    with pytest.raises(InputError), open_legacy(url):
        pass


def test_a_database_without_the_legacy_table_is_bad_input(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE other (id INTEGER)")
    db.close()
    with pytest.raises(InputError, match="inference_runs"), open_legacy(f"sqlite:///{tmp_path / 'other.db'}"):
        pass
