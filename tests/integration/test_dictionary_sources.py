"""SQLite, CSV, JSON and JSON Schema files: what becomes a field, what a Problem, and what never enters a prompt."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.model import ChatRequest, Job, JobDraft, Variant
from tasks.dictionary import KIND
from tasks.kind import Problem

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "Given by the shop."},
        "status": {"enum": ["plantedopen", "plantedclosed"], "default": "plantedopen"},
        "buyer": {"$ref": "#/$defs/person"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": ["number", "null"]}}}},
    },
    "$defs": {
        "person": {
            "type": "object",
            "properties": {"email": {"type": "string", "format": "email", "examples": ["planted@corp.example"]},
                           "friend": {"$ref": "#/$defs/person"}},
        }
    },
}  # fmt: skip


def found(*paths: Path | str, options: dict[str, Any] | None = None, **source: Any) -> dict[str, JobDraft | Problem]:
    given = {"paths": [str(path) for path in paths]} | source
    return {item.where if isinstance(item, Problem) else item.key: item for item in KIND.jobs(given, options or {})}


def facts(items: dict[str, JobDraft | Problem], key: str) -> dict[str, Any]:
    item = items[key]
    assert isinstance(item, JobDraft), item
    return dict(item.input)


def prompts(items: dict[str, JobDraft | Problem]) -> str:
    texts = []
    for item in items.values():
        if isinstance(item, JobDraft):
            request = KIND.request(Job(id=1, key=item.key, input=item.input), Variant(provider="rules", model="m"), {})
            assert isinstance(request, ChatRequest)
            texts += [message.content for message in request.messages]
    return "\n".join(texts).lower()


def sqlite_file(path: Path, script: str) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    connection.close()
    return path


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


ODD = """
CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE "we;ird ""na'me""; DROP TABLE artist; --" (
    "col""1" TEXT, "a.b" TEXT, "50% :off" TEXT, "" TEXT, "select" INT DEFAULT 4711, "客户" TEXT DEFAULT 'planted',
    artist INT REFERENCES artist, mixed, UNIQUE ("select", artist)
);
INSERT INTO artist VALUES (1, 'plantedname');
INSERT INTO "we;ird ""na'me""; DROP TABLE artist; --" VALUES
    ('planted', 'planted@corp.example', 'planted', NULL, 4711, 'planted', 1, x'ff00ff'),
    ('planted', 'planted2@corp.example', 'planted', NULL, 4712, 'planted', 1, 47.11);
CREATE VIEW broken AS SELECT nope FROM missing;
"""
TABLE = '"we;ird ""na\'me""; DROP TABLE artist; --"'


def test_names_with_quotes_and_semicolons_are_just_names(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "odd.db", ODD)

    items = found(path)

    assert facts(items, "artist.id")["primary_key"]
    assert facts(items, f'{TABLE.replace(".", "")}."a.b"')["detected"] == "email"
    assert facts(items, f"{TABLE}.select")["unique_with"] == ["artist"]
    assert facts(items, f"{TABLE}.artist")["references"] == ["artist.id"]
    assert f'{TABLE}.""' in items


def test_a_broken_view_is_a_problem_and_the_others_go_on(tmp_path: Path) -> None:
    items = found(sqlite_file(tmp_path / "odd.db", ODD))

    problem = items["broken"]
    assert isinstance(problem, Problem)
    assert "missing" in problem.what


def test_no_literal_of_an_sqlite_database_is_in_a_prompt(tmp_path: Path) -> None:
    text = prompts(found(sqlite_file(tmp_path / "odd.db", ODD)))

    assert not [literal for literal in ("planted", "4711", "4712", "47.11", "corp.example") if literal in text]


def test_the_database_file_is_not_touched(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "odd.db", ODD)
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    found(url=f"sqlite:///{path}", paths=[])

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [p.name for p in tmp_path.iterdir()] == ["odd.db"]


def test_a_missing_database_is_bad_input_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such SQLite"):
        found(url=f"sqlite:///{tmp_path / 'none.db'}", paths=[])

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "needs a file"),
        ("nosuch://host/db", "unknown kind of database"),
        ("oracle://u:planted@host/db", "no driver"),
        ("postgresql://u:planted@host:port/db", "not a database URL"),
        ("postgresql+asyncpg://u:planted@host/db", "asyncpg"),
        ("", "needs a source"),
    ],
)
def test_a_url_that_cannot_be_used_is_bad_input_without_its_password(url: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        found(url=url, paths=[])

    assert message in caught.value.message
    assert "planted" not in f"{caught.value.message} {caught.value.hint}"


def test_an_empty_database_and_a_filter_that_fits_nothing_are_bad_input(tmp_path: Path) -> None:
    empty = sqlite_file(tmp_path / "empty.db", "")
    full = sqlite_file(tmp_path / "full.db", "CREATE TABLE a (b INT)")

    with pytest.raises(InputError):
        found(url=f"sqlite:///{empty}", paths=[])
    with pytest.raises(InputError, match="no table"):
        found(url=f"sqlite:///{full}", paths=[], tables=["x*"])


def test_a_text_file_that_calls_itself_a_database_is_bad_input(tmp_path: Path) -> None:
    path = written(tmp_path / "text.db", "no database" * 100)

    with pytest.raises(InputError):
        found(url=f"sqlite:///{path}", paths=[])


def test_a_view_that_takes_too_long_is_described_without_statistics(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS x FROM n"
    path = sqlite_file(tmp_path / "slow.db", f"CREATE VIEW slow AS {endless}; CREATE TABLE t (a)")

    items = found(path, options={"statement_timeout_s": 0.2})

    told = items["slow"]
    assert isinstance(told, Problem)
    assert told.by_design
    assert "statistics" not in facts(items, "slow.x")
    assert "t.a" in items


def test_filters_take_in_and_leave_out(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "x.db", "CREATE TABLE a1 (b); CREATE TABLE a2 (b); CREATE TABLE c (b);")

    assert set(found(url=f"sqlite:///{path}", paths=[], tables=["a*", "!a2"])) == {"a1.b"}


def test_statistics_can_be_left_out_whole(tmp_path: Path) -> None:
    items = found(sqlite_file(tmp_path / "odd.db", ODD), options={"statistics": False}, tables=["artist"])

    assert "statistics" not in facts(items, "artist.name")
    assert "samples" not in facts(items, "artist.name")


def test_a_csv_file_has_types_statistics_and_meanings(tmp_path: Path) -> None:
    path = written(
        tmp_path / "buyers.csv", "id;e_mail;paid;since\n1;planted@corp.example;yes;2026-01-02\n2;;no;2026-01-03\n"
    )

    items = found(path)

    assert facts(items, "buyers.id")["type"] == "integer"
    assert facts(items, "buyers.e_mail")["detected"] == "email"
    assert facts(items, "buyers.e_mail")["statistics"]["nulls"] == 1
    assert facts(items, "buyers.paid")["detected"] == "boolean"
    assert facts(items, "buyers.since")["detected"] == "date"
    assert "planted" not in prompts(items)


def test_a_csv_file_without_a_header_does_not_turn_data_into_names(tmp_path: Path) -> None:
    path = written(tmp_path / "bare.csv", "17,planted@corp.example\n18,planted2@corp.example\n")

    items = found(path)

    assert set(items) == {"bare.column_1", "bare.column_2"}
    assert facts(items, "bare.column_2")["statistics"]["rows"] == 2
    assert "planted" not in prompts(items)


def test_columns_of_the_same_name_stay_two_fields(tmp_path: Path) -> None:
    assert set(found(written(tmp_path / "x.csv", "a,a,\nx,y,z\n"))) == {"x.a", "x.a (2)", "x.column_3"}


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("latin.csv", "name\nJosé\n".encode("latin-1"), "not utf-8"),
        ("binary.csv", b"\x00\x01\x02" * 50, "binary"),
        ("empty.csv", b"", "empty"),
        ("broken.json", b'{"a": 1,', "not JSON"),
        ("empty.json", b"", "empty"),
        ("scalar.json", b"17", "no object"),
        ("lines.jsonl", b'{"a": 1}\nplanted\n', "line 2"),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("note.txt", b"hello", "not a JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    bad = written(tmp_path / name, content)
    good = written(tmp_path / "good.csv", "a\nx\n")

    items = found(bad, good)

    problems = [item for item in items.values() if isinstance(item, Problem)]
    assert [name in problem.where for problem in problems] == [True]
    assert what in problems[0].what
    assert "planted" not in problems[0].what
    assert "good.a" in items


def test_another_encoding_is_read_when_it_is_named_or_marked(tmp_path: Path) -> None:
    latin = written(tmp_path / "latin.csv", "prénom\nJosé\n".encode("latin-1"))
    wide = written(tmp_path / "wide.csv", "prénom\nJosé\n".encode("utf-16"))

    assert set(found(latin, wide, options={"encoding": "latin-1"})) == {"latin.prénom", "wide.prénom"}


def test_a_missing_path_and_an_empty_directory_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        found(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no JSON"):
        found(tmp_path)


def test_files_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "data.csv", "a\nx\n")

    items = found(tmp_path, tmp_path / "one" / "data.csv")

    assert set(items) == {'"one/data.csv".a', '"two/data.csv".a'}


def test_json_fields_are_paths_and_keys_that_are_data_are_folded(tmp_path: Path) -> None:
    document = [
        {"id": 1, "tags": ["planted"], "lines": [{"price": 47.11}], "by.mail": {"planted@corp.example": {"n": 1}}},
        {"id": None, "lines": [{"price": "planted", "note": "x"}]},
    ]
    items = found(written(tmp_path / "orders.json", json.dumps(document)))

    assert set(items) == {
        "orders.id", "orders.tags", "orders.lines", "orders.lines[].price", "orders.lines[].note",
        'orders."by.mail"', 'orders."by.mail".*', 'orders."by.mail".*.n',
    }  # fmt: skip
    assert facts(items, "orders.lines[].price")["type"] == "number | string"
    assert facts(items, "orders.tags")["detected"] == "list"
    assert "planted" not in prompts(items)
    assert "47.11" not in prompts(items)


def test_names_that_are_keys_do_not_become_fields(tmp_path: Path) -> None:
    people = {name: {"age": 4} for name in ("planteda", "plantedb", "plantedc")}
    lines = [{"n": n, "scores": {f"planted{n}": n, f"planted{n + 1}": n}} for n in range(60)]
    one = written(tmp_path / "people.json", json.dumps({"people": people}))
    other = written(tmp_path / "scores.jsonl", "\n".join(map(json.dumps, lines)))

    items = found(one, other)

    assert set(items) == {
        "people.people", "people.people.*", "people.people.*.age", "scores.n", "scores.scores", "scores.scores.*",
    }  # fmt: skip
    assert "planted" not in prompts(items)


def test_optional_fields_are_those_that_some_object_does_not_have(tmp_path: Path) -> None:
    items = found(written(tmp_path / "x.jsonl", '{"a": 1, "b": {"c": 1}}\n{"a": 2, "b": {}}\n'))

    assert "nullable" in facts(items, "x.a")
    assert not facts(items, "x.a")["nullable"]
    assert "nullable" not in facts(items, "x.b.c")


def test_a_json_schema_gives_types_formats_and_descriptions_but_no_literal(tmp_path: Path) -> None:
    items = found(written(tmp_path / "order.json", json.dumps(SCHEMA)))

    assert set(items) == {
        "order.id", "order.status", "order.buyer", "order.buyer.email", "order.buyer.friend", "order.lines",
        "order.lines[].price",
    }  # fmt: skip
    assert facts(items, "order.id")["comment"] == "Given by the shop."
    assert facts(items, "order.id")["detected"] == "uuid"
    assert facts(items, "order.buyer.email")["detected"] == "email"
    assert facts(items, "order.status")["enum_values"] == 2
    assert "planted" not in prompts(items)


def test_a_document_larger_than_the_window_is_read_piece_by_piece(tmp_path: Path) -> None:
    filler = "x" * 700_000
    text = json.dumps([{"n": n, "text": filler, "last": n == 4} for n in range(5)], indent=2)
    items = found(written(tmp_path / "large.json", text))

    assert facts(items, "large.text")["statistics"]["max_length"] == 700_000
    assert facts(items, "large.n")["statistics"]["rows"] == 5


def test_a_very_wide_table_is_described_whole(tmp_path: Path) -> None:
    header = ",".join(f"c{n}" for n in range(10_000))
    row = ",".join("5" for _ in range(10_000))
    items = found(written(tmp_path / "wide.csv", f"{header}\n{row}\n{row}\n"))

    assert len(items) == 10_000
    assert len(facts(items, "wide.c5000")["siblings"]) == 24
    assert facts(items, "wide.c5000")["columns"] == 10_000
