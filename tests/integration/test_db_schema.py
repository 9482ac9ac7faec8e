"""The schema: migrations, what the database itself refuses, and what is said about a database that cannot be used."""

import contextlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

from core.errors import InputError, LedgerRefused, LedgerUnavailable
from db import artifacts, schema
from db.engine import AlreadyThere, connect, normalise, transaction
from db.models import Base, CallArtifact, Group, GroupMember, RawCall


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    """A database that nobody has migrated."""
    name = f"empty_{uuid.uuid4().hex}"
    with contextlib.closing(psycopg2.connect(database_url)) as admin:
        admin.autocommit = True
        admin.cursor().execute(f"CREATE DATABASE {name}")
        yield f"{database_url.rpartition('/')[0]}/{name}"
        admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(engine: sqlalchemy.Engine, statement: str, *values: object) -> None:
    with transaction(engine) as cursor:
        cursor.execute(statement, values)


def add_call(engine: sqlalchemy.Engine) -> int:
    with Session(engine) as session, session.begin():
        call = RawCall(
            provider="openai", model="m", modality="chat", status="success", fingerprint="f", request_json={"a": 1}
        )
        session.add(call)
        session.flush()
        return call.id


def test_migrations_and_models_agree(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_migration_file_is_the_end_of_the_chain() -> None:
    chain = ScriptDirectory(Path(schema.__file__).with_name("migrations"))
    assert chain.get_heads() == [schema.head()]


def test_many_processes_may_migrate_at_once(empty_url: str) -> None:
    assert schema.revision(empty_url) is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(schema.migrate, [empty_url] * 4))
    assert schema.revision(empty_url) == schema.head()
    schema.check(empty_url)


def test_an_unmigrated_database_is_told_from_a_newer_one(empty_url: str) -> None:
    with pytest.raises(InputError, match="not been migrated"):
        schema.check(empty_url)
    schema.migrate(empty_url)
    opened = connect(empty_url)
    run(opened, "UPDATE alembic_version SET version_num = '9999'")
    opened.dispose()
    for refused in (schema.check, schema.migrate):
        with pytest.raises(InputError, match="newer"):
            refused(empty_url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE raw_calls SET model = 'x'",
        "UPDATE raw_calls SET model = 'x' WHERE false",
        "DELETE FROM raw_calls",
        "TRUNCATE raw_calls CASCADE",
        "INSERT INTO raw_calls SELECT * FROM raw_calls ON CONFLICT (id) DO UPDATE SET model = 'x'",
    ],
)
@pytest.mark.parametrize("replica", [False, True])
def test_raw_calls_are_append_only_for_everybody(engine: sqlalchemy.Engine, statement: str, *, replica: bool) -> None:
    add_call(engine)
    role = f"SET LOCAL session_replication_role = {'replica' if replica else 'origin'}"
    with pytest.raises(LedgerRefused, match="append-only"):
        run(engine, f"{role}; {statement}")


def test_every_table_takes_and_gives_its_rows_through_the_models(engine: sqlalchemy.Engine) -> None:
    first, second = add_call(engine), add_call(engine)
    assert first != second
    with Session(engine) as session, session.begin():
        group = Group(group_type="label", name="good ones")
        session.add(group)
        session.flush()
        session.add(GroupMember(group_id=group.id, call_id=first, role="chosen", position=3))
        session.add(CallArtifact(call_id=first, uri="a", content_type="text/plain", byte_size=1, sha256="0"))
    with Session(engine) as session:
        found = session.get_one(RawCall, first)
        assert (found.request_json, found.response_json, found.cost_usd, found.metadata_json) == (
            {"a": 1},
            None,
            None,
            {},
        )
        member = session.query(GroupMember).one()
        assert (member.role, member.position) == ("chosen", 3)


def test_a_sweeps_name_is_unique_and_other_groups_names_are_not(engine: sqlalchemy.Engine) -> None:
    for kind in ("label", "label", "sweep"):
        run(engine, "INSERT INTO groups (group_type, name) VALUES (%s, 'n')", kind)
    with pytest.raises(AlreadyThere):
        run(engine, "INSERT INTO groups (group_type, name) VALUES ('sweep', 'n')")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("not a url", "not a database address"),
        ("mysql://u@h/d", "must name PostgreSQL"),
        ("sqlite:///x.db", "must name PostgreSQL"),
        ("postgresql://u@h", "names no database"),
    ],
)
def test_an_address_that_is_none_is_bad_input(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        normalise(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_way_to_write_the_address_works(database_url: str, scheme: str) -> None:
    assert schema.revision(f"{scheme}:{database_url.partition(':')[2]}?application_name=mine") == schema.head()


def test_a_wrong_password_user_or_database_is_bad_input_and_shows_no_secret(database_url: str) -> None:
    good = sqlalchemy.make_url(database_url)
    for bad in (good.set(password="planted-secret"), good.set(username="nobody"), good.set(database="no_such")):
        with pytest.raises(InputError) as caught:
            schema.revision(bad.render_as_string(hide_password=False))
        assert "planted-secret" not in caught.value.message + caught.value.hint
        assert caught.value.hint


def test_a_server_that_is_away_is_unavailable(database_url: str) -> None:
    away = sqlalchemy.make_url(database_url).set(port=1).render_as_string(hide_password=False)
    with pytest.raises(LedgerUnavailable):
        schema.revision(away)


def test_a_broken_connection_is_dropped_and_the_next_one_works(database_url: str, engine: sqlalchemy.Engine) -> None:
    with contextlib.ExitStack() as open_ones:
        cursors = [open_ones.enter_context(transaction(engine)) for _ in range(3)]
        for cursor in cursors:
            cursor.execute("SELECT 1")
    with contextlib.closing(psycopg2.connect(database_url)) as admin:
        admin.cursor().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    with pytest.raises(LedgerUnavailable):
        run(engine, "SELECT 1")
    run(engine, "SELECT 1")


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(10)"),
        ("SET LOCAL transaction_read_only = on", "INSERT INTO groups (group_type, name) VALUES ('label', 'x')"),
        ("SET LOCAL lock_timeout = '20ms'", "LOCK TABLE sweeps"),
    ],
)
def test_what_passes_by_itself_is_unavailable(database_url: str, setting: str, statement: str) -> None:
    mine, other = connect(database_url), connect(database_url)
    with transaction(other) as cursor:
        cursor.execute("LOCK TABLE sweeps")
        with pytest.raises(LedgerUnavailable):
            run(mine, f"{setting}; {statement}")
    mine.dispose()
    other.dispose()


def test_a_fault_in_our_own_sql_is_not_hidden(engine: sqlalchemy.Engine) -> None:
    with pytest.raises(psycopg2.errors.SyntaxError):
        run(engine, "SELEKT 1")


# -- artifacts


def test_an_artifact_comes_back_as_it_was_stored(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    store = artifacts.ArtifactStore(tmp_path / "blobs")
    call_id = add_call(engine)
    stored = store.put("2026/11/answer.bin", b"\0\1\2", content_type="application/octet-stream", metadata={"page": 3})
    artifacts.attach(engine, call_id, stored)
    [found] = artifacts.of_call(engine, call_id)
    assert found == stored
    assert store.read(found) == b"\0\1\2"
    assert [path.name for path in (tmp_path / "blobs/2026/11").iterdir()] == ["answer.bin"]
    (tmp_path / "blobs/2026/11/answer.bin").write_bytes(b"changed")
    with pytest.raises(InputError, match="SHA-256"):
        store.read(found)
    with pytest.raises(LedgerRefused):
        artifacts.attach(engine, 424242, stored)


@pytest.mark.parametrize("uri", ["", ".", "/etc/x", "../x", "a/../../x", "a/..", "link/x", "a\0b", "..\\x"])
def test_no_artifact_name_leads_out_of_the_directory(tmp_path: Path, uri: str) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out"):
        artifacts.ArtifactStore(tmp_path / "blobs").put(uri, b"x", content_type="text/plain")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs"]
