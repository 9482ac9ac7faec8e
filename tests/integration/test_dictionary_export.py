"""The dictionary as files: complete, escaped, merged, whole or not at all."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from ruamel.yaml import YAML

from core.errors import InputError
from core.model import Job, JobState, ResultRow
from tasks.dictionary import KIND
from tasks.dictionary.facts import Facts
from tests import records

EVIL = "<b>|`pipe`\n=cmd() {{ var }} [x](y) \\"


def row(
    number: int = 1, *, state: JobState = JobState.DONE, result: dict[str, Any] | None = None, **facts: Any
) -> ResultRow:
    given = Facts(**({"path": f"orders.c{number}", "table": "orders", "column": f"c{number}", "type": "text"} | facts))
    job = Job(id=number, key=given.path, input=given.dump())
    said = dict(KIND.fallback(job, {}) or {}) | {"source": "model"} | (result or {})
    return records.row(
        number,
        key=given.path,
        input=given.dump(),
        state=state,
        result=said if state in {JobState.DONE, JobState.FALLBACK} else None,
        error=None if state is JobState.DONE else {"message": "no answer"},
    )


def shop() -> Iterator[ResultRow]:
    yield row(1, path="customer.id", table="customer", column="id", primary_key=True, type="int")
    yield row(2, path="customer.note", table="customer", column="note", comment="Kept | by hand.")
    yield row(
        3, path="order.customer_id", table="order", column="customer_id", references=("customer.id",), nullable=False
    )
    yield row(4, path="order.x", table="order", column="x", state=JobState.FAILED)


def exported(rows: Iterator[ResultRow], fmt: str, out: Path) -> Path:
    said = KIND.export(rows, fmt, out)
    assert str(out) in said
    return out


def test_markdown_has_a_page_a_table_and_an_index_with_the_relations(tmp_path: Path) -> None:
    out = exported(shop(), "markdown", tmp_path / "docs")

    index = (out / "index.md").read_text()
    page = (out / "tables" / "order.md").read_text()
    assert sorted(path.name for path in (out / "tables").iterdir()) == ["customer.md", "order.md"]
    assert "4 fields, 3 described (75 %): 1 by people, 2 by model" in index
    assert '"customer" ||--o{ "order" : "customer_id"' in index
    assert "→ [customer.id](customer.md)" in page
    assert "(not described: no answer)" in page
    assert r"Kept \| by hand." in (out / "tables" / "customer.md").read_text()


def test_names_cannot_leave_their_cell_or_their_directory(tmp_path: Path) -> None:
    rows = [row(1, table="../../evil", column=EVIL), row(2, table="A/b", column="c"), row(3, table="a?B", column="c")]
    rows = [row(n, table=r.input["table"], column=r.input["column"], path=f"p{n}") for n, r in enumerate(rows)]

    out = exported(iter(rows), "markdown", tmp_path / "docs")

    pages = list((out / "tables").iterdir())
    assert len({page.name.lower() for page in pages}) == 3
    assert set(tmp_path.rglob("*.md")) == {*pages, out / "index.md"}
    text = "".join(page.read_text() for page in pages)
    assert "<b>" not in text
    assert r"\|\`pipe\` =cmd() {{ var }} \[x\](y) \\" in text


def test_a_second_export_replaces_its_own_pages_and_leaves_others(tmp_path: Path) -> None:
    out = exported(shop(), "markdown", tmp_path / "docs")
    (out / "tables" / "mine.md").write_text("my notes")

    exported(iter([row(1)]), "markdown", out)

    assert sorted(path.name for path in (out / "tables").iterdir()) == ["mine.md", "orders.md"]


def test_csv_has_a_line_a_field_and_no_formula(tmp_path: Path) -> None:
    out = exported(iter([*shop(), row(9, column="=1+1", path="t.=1+1")]), "csv", tmp_path / "d.csv")

    lines = list(csv.DictReader(out.read_text().splitlines()))
    assert [line["path"] for line in lines] == [
        "customer.id",
        "customer.note",
        "order.customer_id",
        "order.x",
        "t.=1+1",
    ]
    assert [line["source"] for line in lines] == ["model", "human", "model", "none", "model"]
    assert lines[0]["key"] == "PK"
    assert lines[4]["column"] == "'=1+1"


def test_json_has_tables_with_their_fields(tmp_path: Path) -> None:
    out = exported(shop(), "json", tmp_path / "d.json")

    tables = json.loads(out.read_text())["tables"]
    assert [(table["table"], len(table["fields"])) for table in tables] == [("customer", 2), ("order", 2)]
    assert tables[1]["fields"][0]["references"] == ["customer.id"]


def test_a_workbook_has_both_sheets_and_survives_control_characters(tmp_path: Path) -> None:
    out = exported(iter([*shop(), row(9, column="a\x07b", path="t.ab")]), "xlsx", tmp_path / "d.xlsx")

    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["Tables", "Fields"]
    assert [cell.value for cell in book["Fields"]["A"]][1:] == [
        "customer.id", "customer.note", "order.customer_id", "order.x", "t.ab",
    ]  # fmt: skip
    assert book["Fields"]["D6"].value == "ab"


def test_dbt_properties_are_made_anew(tmp_path: Path) -> None:
    out = exported(shop(), "dbt", tmp_path / "schema.yml")

    document = YAML(typ="safe").load(out.read_text())
    customer, order = document["models"]
    assert document["version"] == 2
    assert customer["columns"][1]["description"] == "Kept | by hand."
    assert order["columns"][0]["meta"]["described_by"] == "model"
    assert "description" not in order["columns"][1]


def test_dbt_properties_are_merged_with_comments_order_and_human_text_kept(tmp_path: Path) -> None:
    out = tmp_path / "schema.yml"
    before = (
        "version: 2  # keep\n\nmodels:\n  # our orders\n  - name: order\n    columns:\n      - name: x\n"
        "        description: 'By a person.'  # mine\n        tests:\n          - unique\n      - name: CUSTOMER_ID\n"
    )
    out.write_text(before)

    exported(iter([*shop(), row(4, path="order.x", table="order", column="x")]), "dbt", out)

    after = out.read_text()
    assert after.startswith(before.rstrip("\n"))
    document = YAML(typ="safe").load(after)
    columns = document["models"][0]["columns"]
    assert columns[0]["description"] == "By a person."
    assert columns[1]["description"].startswith("Reference to the customer")
    assert [model["name"] for model in document["models"]] == ["order", "customer"]


def test_dbt_descriptions_of_an_earlier_export_are_renewed_and_then_stay_the_same(tmp_path: Path) -> None:
    out = exported(iter([row(1)]), "dbt", tmp_path / "schema.yml")

    exported(iter([row(1, result={"description": "A better text {{ x }}."})]), "dbt", out)
    second = out.read_text()
    exported(iter([row(1, result={"description": "A better text {{ x }}."})]), "dbt", out)

    assert YAML(typ="safe").load(second)["models"][0]["columns"][0]["description"] == "A better text { { x }}."
    assert out.read_text() == second


def test_dbt_sources_are_filled_where_they_are(tmp_path: Path) -> None:
    out = tmp_path / "sources.yml"
    out.write_text("version: 2\nsources:\n- name: raw\n  schema: sales\n  tables:\n  - name: orders\n")

    exported(iter([row(1, container="sales"), row(2, container="sales", table="new", path="new.c2")]), "dbt", out)

    document = YAML(typ="safe").load(out.read_text())
    assert [table["name"] for table in document["sources"][0]["tables"]] == ["orders", "new"]
    assert "models" not in document
    assert "\n- name: raw\n" in out.read_text()


@pytest.mark.parametrize("content", ["a: [", "- just\n- a list\n", "models: 5\n"])
def test_a_dbt_file_that_is_none_stays_as_it_is(tmp_path: Path, content: str) -> None:
    out = tmp_path / "schema.yml"
    out.write_text(content)

    with pytest.raises(InputError):
        KIND.export(shop(), "dbt", out)

    assert out.read_text() == content


def test_of_several_variants_the_surest_model_answer_is_exported(tmp_path: Path) -> None:
    rows = [
        row(1, result={"source": "rule", "confidence": 1.0, "description": "By a rule."}, state=JobState.FALLBACK),
        row(1, result={"confidence": 0.4, "description": "Unsure."}),
        row(1, result={"confidence": 0.8, "description": "Sure."}),
        row(1, state=JobState.FAILED),
    ]
    out = exported(iter(rows), "json", tmp_path / "d.json")

    fields = json.loads(out.read_text())["tables"][0]["fields"]
    assert [field["description"] for field in fields] == ["Sure."]


def test_sql_for_fields_of_files_an_unknown_format_and_nothing_at_all_are_bad_input(tmp_path: Path) -> None:
    for rows, fmt in ((iter([row(1, kind="CSV file")]), "sql"), (shop(), "pdf"), (iter([]), "csv")):
        with pytest.raises(InputError):
            KIND.export(rows, fmt, tmp_path / "out")

    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(InputError):
        KIND.export(shop(), "csv", tmp_path / "file" / "d.csv")
    with pytest.raises(InputError):
        KIND.export(shop(), "markdown", tmp_path / "file")

    assert (tmp_path / "file").read_text() == "x"
