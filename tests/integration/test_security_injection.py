"""Words from outside (keys, names, providers' messages, answers) stay words: in terminals, spreadsheets and pages."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import ValidationError
from rich.console import Console, RenderableType

from core.errors import InputError
from core.model import Job, ResultRow
from core.sweep import SweepSpec, Target
from db import progress, results
from db.artifacts import ArtifactStore
from db.engine import connect
from db.similarity import Hit
from scripts.cli import render
from scripts.cli.errors import report
from scripts.cli.plain import one_line, plain
from tasks import producer
from tasks.dictionary import KIND as DICTIONARY
from tasks.dictionary.facts import Facts
from tasks.prompt import KIND as PROMPT
from tasks.results import export
from tasks.spreadsheet import inert
from tests import records
from workers.observer import SweepView

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\b\x7f\x00"
MARKUP = "[bold red]x[/bold red][/][link=file:///etc/passwd]y[/link]"
EVIL = f"{ESCAPES}{MARKUP}\u202egnp.exe\nsweep: all jobs done \ud800"
HARMFUL = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2066", "\ud800"]
HARMFUL = [character for character in HARMFUL if character not in "\n\t"]


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left_and_all_else_stays(text: str) -> None:
    shown = plain(text + EVIL)
    assert not any(character in shown for character in HARMFUL)
    assert "\\x1b[2J" in shown
    assert "\n" not in one_line(text + EVIL)
    assert plain("naïve 漢字 \U0001f600 a\tb\n") == "naïve 漢字 \U0001f600 a\tb\n"


def printed(table: RenderableType) -> str:
    """As on a real terminal; its own colours are taken away, then nothing that it obeys may be left."""
    console = Console(force_terminal=True, width=4000, color_system=None, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")


@pytest.fixture
def view(database_url: str, tmp_path: Path) -> SweepView:
    """A sweep that a provider has parked with a message of its own."""
    source = tmp_path / "p.jsonl"
    source.write_text('{"id": "1", "prompt": "x"}\n')
    spec = SweepSpec(
        name="s", kind="prompt", source={"path": str(source)}, targets=(Target(provider="openai", model="m"),)
    )
    producer.submit(database_url, spec)
    engine = connect(database_url, role="reader", pool=1)
    try:
        status = progress.status(engine, "s")
    finally:
        engine.dispose()
    return SweepView(status=replace(status, reason=EVIL, problems=({"where": EVIL, "what": EVIL},)))


def test_tables_show_markup_and_escape_codes_of_others_as_text(view: SweepView) -> None:
    hit = Hit(key=EVIL, score=0.5, sweep="s", text=EVIL, call_id=1, title=EVIL, kind="embedding")
    tables = [render.details(view), render.listing([view]), render.hits([hit]), render.rows([{"a": EVIL, "n": EVIL}])]
    for table in tables:
        shown = printed(table)
        assert not any(character in shown for character in HARMFUL)
        assert not any(line.startswith("sweep: all jobs done") for line in shown.splitlines())
    assert MARKUP in printed(tables[0])


def test_messages_on_stderr_show_them_as_text_too(capfd: pytest.CaptureFixture[str]) -> None:
    render.talk(f"left out: {EVIL}")
    assert report(InputError(EVIL, hint=EVIL)) == 2
    shown = capfd.readouterr().err
    assert MARKUP in shown
    assert not any(character in shown for character in HARMFUL)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a;b", "a'b", 'a"b', "a b", "a\n", "-rf", ".x", "\x1b[2J", "é", "a" * 101]
)
def test_a_sweeps_name_is_a_plain_word(name: str) -> None:
    with pytest.raises(ValidationError):
        SweepSpec(name=name, kind="prompt", targets=(Target(provider="openai", model="m"),))


KEYS = ["'; DROP TABLE jobs; --", '"quoted"', "a\\b", "%s %(x)s {y}", "../../etc/passwd", "$(id)`id`", "a;b\tc"]


def test_keys_and_prompts_with_quotes_and_semicolons_are_harmless_all_the_way(
    database_url: str, tmp_path: Path
) -> None:
    source = tmp_path / "p.jsonl"
    source.write_bytes(b"\n".join(orjson.dumps({"id": key, "prompt": key}) for key in KEYS))
    spec = SweepSpec(
        name="s",
        kind="prompt",
        source={"path": str(source)},
        options={"key": "id"},
        targets=(Target(provider="openai", model="'; DROP TABLE raw_calls; --"),),
        description="'; DROP TABLE sweeps; --",
    )
    assert producer.submit(database_url, spec).jobs == len(KEYS)
    engine = connect(database_url, role="reader", pool=1)
    try:
        assert [row.key for row in results.rows(engine, "s")] == KEYS
        assert progress.status(engine, "s").jobs == len(KEYS)
    finally:
        engine.dispose()
    out = tmp_path / "out"
    out.mkdir()
    export(database_url, "s", "jsonl", out / "x.jsonl")
    assert [path.name for path in out.iterdir()] == ["x.jsonl"]
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM jobs")
        assert cursor.fetchone() == (len(KEYS),)


# -- spreadsheets


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "\uff20x",
        '=HYPERLINK("http://x")',
    ],
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-5", "+3.25", "-1e-9", "plain", "", 5, -5, None, True, 1.5])
def test_numbers_and_other_texts_stay_as_they_are(value: object) -> None:
    assert inert(value) == value


def row(key: str, given: dict[str, Any], result: dict[str, Any]) -> ResultRow:
    return records.row(key=key, input=given, result=result, error={"message": "=1+1"})


def test_no_cell_of_a_prompt_sweeps_csv_is_a_formula(tmp_path: Path) -> None:
    rows = iter([row("=key", {"row": {"=name": "@input", "n": -5}}, {"text": "=HYPERLINK(1)"})])
    PROMPT.export(rows, "csv", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert {"'=key", "'=HYPERLINK(1)", "'@input", "'=1+1", "-5"} <= set(cells)
    assert not any(cell[:1] in {"=", "+", "@"} for cell in cells)


# -- pages


NAMES = [
    "a`[x](javascript:alert(1))`b",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil/x.png)",
    "</td><script>",
    "[a]: javascript:x",
]


def described(name: str) -> Iterator[ResultRow]:
    facts = Facts(
        path=f"{name}.{name}",
        table=name,
        column=name,
        type=name,
        comment=name,
        table_comment=f"{name}\n\n# heading\n\n<script>alert(1)</script>\n\n    code",
        references=(f"{name}.{name}",),
    )
    job = Job(id=1, key=facts.path, input=facts.dump())
    said = dict(DICTIONARY.fallback(job, {}) or {}) | {"description": f"Holds {name}.", "business_name": name}
    yield row(facts.path, facts.dump(), said | {"source": "model"})


@pytest.mark.parametrize("name", NAMES)
def test_names_and_comments_bring_no_markup_into_the_dictionarys_pages(name: str, tmp_path: Path) -> None:
    DICTIONARY.export(described(name), "markdown", tmp_path)
    pages = list(tmp_path.rglob("*.md"))
    assert len(pages) == 2
    for page in pages:
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page.read_text())
        assert "<script" not in html
        assert "<img" not in html
        assert 'href="javascript' not in html
        assert html.count("<h1>") == 1
    assert {page.parent for page in pages} == {tmp_path, tmp_path / "tables"}


@pytest.mark.parametrize("name", NAMES)
def test_the_dictionarys_workbook_holds_no_formula_and_no_link(name: str, tmp_path: Path) -> None:
    DICTIONARY.export(described(f"={name}"), "xlsx", tmp_path / "d.xlsx")
    book = openpyxl.load_workbook(tmp_path / "d.xlsx")
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert any(str(cell.value).startswith("'=") for cell in cells)
    assert all(cell.data_type != "f" and cell.hyperlink is None for cell in cells)


# -- files


@pytest.mark.parametrize("uri", ["a" * 300, "a/" * 3000 + "b", "\udcff", "x/\0"])
def test_an_artifact_name_that_no_file_can_have_is_bad_input(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ArtifactStore(tmp_path / "blobs").put(uri, b"x", content_type="text/plain")


def test_an_artifact_never_goes_through_a_link_however_it_came_there(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old")
    store = ArtifactStore(tmp_path / "blobs")
    kept = store.put("a/b", b"x", content_type="text/plain")
    for name, target in (("a/file", tmp_path / "secret"), ("dir", tmp_path), ("loop", tmp_path / "blobs/loop")):
        (tmp_path / "blobs" / name).symlink_to(target)
    for uri in ("a/file", "dir/secret", "dir/new", "loop", "loop/x"):
        with pytest.raises(InputError):
            store.put(uri, b"new", content_type="text/plain")
        with pytest.raises(InputError):
            store.read(replace(kept, uri=uri))
    assert (tmp_path / "secret").read_text() == "old"
    assert not (tmp_path / "new").exists()
