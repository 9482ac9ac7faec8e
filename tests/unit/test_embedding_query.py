import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import JobDraft
from tasks.embedding import KIND
from tasks.kind import Found, Problem


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE product (sku TEXT, note TEXT, price REAL)")
    connection.executemany(
        "INSERT INTO product VALUES (?, ?, ?)",
        [("A", "100 % wool: warm", 1.0), ("B", None, 2.0), ("C", "  ", 3.0), ("A", "twice", 4.0), (None, "last", 5.0)],
    )
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def _found(url: str, query: str, **source: Any) -> list[Found]:
    return list(KIND.jobs({"url": url, "query": query, **source}, {}))


def test_rows_are_documents_and_bad_ones_are_named(url: str) -> None:
    found = _found(url, "SELECT sku, note FROM product ORDER BY price", column="note", key="sku")

    assert [(job.key, job.input["text"]) for job in found if isinstance(job, JobDraft)] == [
        ("A#0001", "100 % wool: warm"),
        ("row 5#0001", "last"),
    ]
    assert [(problem.where, problem.what.partition(":")[0]) for problem in found if isinstance(problem, Problem)] == [
        ("row 2", "'note' is empty"),
        ("C", "empty"),
        ("A#0001", "this key was there before; only the first one becomes a job"),
    ]


def test_colons_and_per_cent_signs_in_a_query_are_no_parameters(url: str) -> None:
    found = _found(url, "SELECT note AS text FROM product WHERE note LIKE '100 %:%'")

    assert [job.key for job in found if isinstance(job, JobDraft)] == ["row 1#0001"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT * FROM nowhere", "the query failed: no such table"),
        ("SELEC 1", "the query failed"),
        ("DELETE FROM product", "the query failed: attempt to write a readonly database"),
        ("SELECT note, note FROM product", "a column twice"),
        ("SELECT note FROM product WHERE 0", "there is no text to embed"),
        ("SELECT price AS text FROM product", "of type float, not text"),
    ],
)
def test_a_query_that_gives_no_text_is_refused_with_the_reason(url: str, query: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        _found(url, query)


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such SQLite database"):
        _found(f"sqlite:///{tmp_path}/no.db", "SELECT 1")


@pytest.mark.parametrize("source", [{"url": "sqlite:///a.db"}, {"query": "SELECT 1"}])
def test_a_query_and_its_database_come_together(source: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a query needs"):
        KIND.jobs(source | {"paths": ["a"]}, {})
