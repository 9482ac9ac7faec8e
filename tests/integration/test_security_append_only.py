"""The database itself keeps raw_calls as they were written, whichever way a change comes in."""

import contextlib
import uuid
from collections.abc import Iterator

import psycopg2
import psycopg2.errors
import pytest

CALL = (
    "INSERT INTO raw_calls (id, provider, model, modality, status, fingerprint, request_json)"
    " VALUES (7, 'openai', 'm', 'chat', 'success', 'f', '{\"a\": 1}')"
)
PARTITION = (
    "CREATE TABLE above (LIKE raw_calls) PARTITION BY RANGE (id);"
    "ALTER TABLE above ATTACH PARTITION raw_calls FOR VALUES FROM (0) TO (9)"
)
COLUMNS = "id, provider, model, request_json::text"


@pytest.fixture
def owner(database_url: str) -> Iterator["psycopg2.extensions.connection"]:
    """The tables' owner, with one call written: whatever it may do, it is not to change that call."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(CALL)
        before = rows(connection)
        yield connection
        assert rows(connection)[0] == before[0]


def rows(connection: "psycopg2.extensions.connection") -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM raw_calls WHERE id = 7")
        return cursor.fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE raw_calls SET model = 'x'",
        "UPDATE ONLY raw_calls SET model = 'x'",
        "DELETE FROM raw_calls",
        "DELETE FROM raw_calls USING groups",
        "TRUNCATE raw_calls CASCADE",
        "WITH gone AS (DELETE FROM raw_calls RETURNING *) SELECT * FROM gone",
        f"{CALL} ON CONFLICT (id) DO UPDATE SET model = 'x'",
        "MERGE INTO raw_calls c USING (SELECT 7 AS id) n ON c.id = n.id WHEN MATCHED THEN UPDATE SET model = 'x'",
        "MERGE INTO raw_calls c USING (SELECT 7 AS id) n ON c.id = n.id WHEN MATCHED THEN DELETE",
        "CREATE VIEW v AS SELECT * FROM raw_calls; UPDATE v SET model = 'x'",
        "CREATE FUNCTION f() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'DELETE FROM raw_calls'; SELECT f()",
        "DO $$ BEGIN UPDATE raw_calls SET model = 'x'; END $$",
        "SET session_replication_role = replica; DELETE FROM raw_calls",
        # The statement names another table, of which raw_calls has been made a part.
        "CREATE TABLE above (LIKE raw_calls); ALTER TABLE raw_calls INHERIT above; UPDATE above SET model = 'x'",
        "CREATE TABLE above (LIKE raw_calls); ALTER TABLE raw_calls INHERIT above; DELETE FROM above",
        "CREATE TABLE above (LIKE raw_calls); ALTER TABLE raw_calls INHERIT above; TRUNCATE above CASCADE",
        f"{PARTITION}; UPDATE above SET model = 'x'",
        f"{PARTITION}; DELETE FROM above",
        # Moving the row to another partition is a DELETE here.
        f"{PARTITION}; CREATE TABLE b PARTITION OF above FOR VALUES FROM (9) TO (20); UPDATE above SET id = id + 9",
    ],
)
def test_no_statement_changes_or_removes_a_call(owner: "psycopg2.extensions.connection", statement: str) -> None:
    with pytest.raises(psycopg2.errors.RestrictViolation, match="append-only"):
        owner.cursor().execute(statement)


def test_a_role_that_may_write_calls_can_neither_change_them_nor_switch_the_guard_off(
    owner: "psycopg2.extensions.connection",
) -> None:
    role = f"worker_{uuid.uuid4().hex[:12]}"
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON raw_calls TO {role}")
        try:
            for statement in (
                "ALTER TABLE raw_calls DISABLE TRIGGER ALL",
                "DROP TRIGGER append_only_rows ON raw_calls",
                "CREATE OR REPLACE FUNCTION raw_calls_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
                "CREATE RULE r AS ON INSERT TO raw_calls DO INSTEAD NOTHING",
                "SET session_replication_role = replica",
                "DROP TABLE raw_calls CASCADE",
            ):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(f"SET ROLE {role}; {statement}")
                cursor.execute("RESET ROLE")
            for statement in ("UPDATE raw_calls SET model = 'x'", "DELETE FROM raw_calls", "TRUNCATE raw_calls"):
                with pytest.raises(psycopg2.Error, match=r"append-only|foreign key"):
                    cursor.execute(f"SET ROLE {role}; {statement}")
                cursor.execute("RESET ROLE")
        finally:
            cursor.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_what_only_the_owner_and_a_superuser_can_do_is_told_in_the_documentation(
    owner: "psycopg2.extensions.connection",
) -> None:
    with owner.cursor() as cursor:
        cursor.execute("BEGIN; ALTER TABLE raw_calls DISABLE TRIGGER ALL; DELETE FROM call_artifacts")
        cursor.execute("DELETE FROM raw_calls; ROLLBACK")
