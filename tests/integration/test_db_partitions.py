"""docs/tables.md says how raw_calls is partitioned and pruned: its very statements, with workers before and after."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import sqlalchemy

from core.model import JobState, Modality
from db import answers
from db.engine import connect, dial, transaction
from db.submission import submit
from tests.records import call
from tests.sweeps import Worker, count, drafts, spec

SPLIT, GROW, PRUNE = re.findall(r"```sql\n(.*?)```", Path("docs/tables.md").read_text(), re.DOTALL)
BOUNDARY = 100_000_000


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    """A sweep of four chunks, of which one was done before the split, and one has calls beyond its end."""
    opened = connect(database_url, role="producer", pool=4)
    sweep = submit(opened, spec(), drafts(16)).sweep_id
    worker = Worker(opened)
    worker.work(sweep, 0)
    _run(opened, SPLIT)
    _run(opened, GROW)
    _execute(opened, f"SELECT setval('raw_call_ids', {BOUNDARY})")
    _execute(opened, f"UPDATE jobs SET id = id + {BOUNDARY} WHERE chunk_no = 1")  # the tests' calls are named like jobs
    worker.work(sweep, 1)
    worker.work(sweep, 2, lambda n: JobState.FAILED if n else JobState.DONE)
    yield opened
    opened.dispose()


def _run(engine: sqlalchemy.Engine, script: str) -> None:
    connection = dial(engine.url)
    with connection.cursor() as cursor:
        for statement in re.findall(r"(?:[^;$]|\$\$.*?\$\$)+;", script, re.DOTALL):  # one by one, as psql sends them
            cursor.execute(statement)
    connection.close()


def _execute(engine: sqlalchemy.Engine, statement: str) -> list[tuple[object, ...]]:
    with transaction(engine) as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_workers_go_on_after_the_split_and_find_what_was_answered_before(engine: sqlalchemy.Engine) -> None:
    assert (count(engine, "raw_calls_000"), count(engine, "raw_calls_001"), count(engine, "raw_calls")) == (8, 4, 12)
    old, new = call(1).fingerprint, call(BOUNDARY + 5).fingerprint
    assert set(answers.find(engine, [old, new], Modality.CHAT)) == {old, new}


def test_a_table_that_is_nearly_at_a_full_hundred_million_ends_at_the_next(database_url: str) -> None:
    opened = connect(database_url, role="producer", pool=1)
    _execute(opened, f"SELECT setval('raw_call_ids', {30 * BOUNDARY - 1})")
    _run(opened, SPLIT)
    _run(opened, GROW)
    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname IN ('raw_calls_000', 'raw_calls_050')"
    assert {bound for (bound,) in _execute(opened, bounds)} == {
        f"FOR VALUES FROM (MINVALUE) TO ('{31 * BOUNDARY}')",
        f"FOR VALUES FROM ('{50 * BOUNDARY}') TO ('{51 * BOUNDARY}')",
    }
    opened.dispose()


def test_a_call_is_looked_up_in_its_own_partition(engine: sqlalchemy.Engine) -> None:
    plan = " ".join(
        str(line) for (line,) in _execute(engine, "EXPLAIN SELECT * FROM raw_calls WHERE id = ANY ('{1,2}')")
    )
    assert "raw_calls_000" in plan
    assert "raw_calls_001" not in plan


@pytest.mark.parametrize("table", ["raw_calls", "raw_calls_000", "raw_calls_001", "raw_calls_020", "raw_calls_rest"])
@pytest.mark.parametrize("change", ["UPDATE {} SET model = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_every_partition_refuses_every_change(
    database_url: str, engine: sqlalchemy.Engine, table: str, change: str
) -> None:
    connection = dial(database_url)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg2.errors.RestrictViolation, match="append-only"):
            cursor.execute(change.format(table))
    connection.close()


def test_an_old_partition_goes_as_a_whole_and_the_rest_stays(engine: sqlalchemy.Engine) -> None:
    _run(engine, PRUNE)
    assert count(engine, "raw_calls") == 4
    assert count(engine, "group_members") == 4
    assert count(engine, "jobs", "state = 'done'") == 9
    Worker(engine).work(1, 3)
    # Calls with ids of the partition that is gone go where nothing is refused.
    assert count(engine, "raw_calls_rest") == 4


def test_a_partition_that_artifacts_point_to_is_not_detached(engine: sqlalchemy.Engine) -> None:
    _execute(
        engine,
        "INSERT INTO call_artifacts (call_id, uri, content_type, byte_size, sha256) VALUES (1, 'u', 't', 1, 's')",
    )
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        _run(engine, PRUNE)
