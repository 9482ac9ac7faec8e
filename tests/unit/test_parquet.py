"""Parquet as exports write it and as the dictionary reads it. pyarrow has read the same files by hand."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import arro3.core as arrow
import arro3.io
import numpy as np
import orjson
import pytest

from core.errors import InputError, LedgerUnavailable
from core.model import JobDraft, JobState, ResultRow
from tasks import dictionary, embedding, parquet, prompt
from tasks.kind import Problem
from tasks.parquet import Type
from tests import records

COLUMNS = {"key": Type.TEXT, "n": Type.INTEGER, "x": Type.NUMBER, "b": Type.BOOLEAN, "v": Type.VECTOR}


def content(path: Path) -> list[dict[str, Any]]:
    found = parquet.read(path)
    names = [field.name for field in found.fields]
    return [dict(zip(names, row, strict=True)) for columns in found.batches() for row in zip(*columns, strict=True)]


def row(number: int, **changes: Any) -> ResultRow:
    plain: dict[str, Any] = {
        "input": {"row": {"prompt": f"p{number}"}, "document": "d.md", "position": 1, "text": "t"},
        "result": {"text": "okay"},
        "params": {"temperature": 0},
        "call_id": 7_000_000_000_000,
    }
    return records.row(number, **(plain | changes))


def test_what_is_written_is_read_again_in_many_batches(tmp_path: Path) -> None:
    rows = [[f"k{n}", n, n / 3, n % 2 == 0, np.full(n % 3 + 1, n, np.float32)] for n in range(10_000)]
    rows[7] = ["none", None, None, None, np.empty(0, np.float32)]

    count = parquet.write(tmp_path / "x.parquet", COLUMNS, iter(rows))

    found = content(tmp_path / "x.parquet")
    assert count == len(found) == 10_000
    assert found[9_999] == {"key": "k9999", "n": 9_999, "x": 9_999 / 3, "b": False, "v": [9_999.0]}
    assert found[7] == {"key": "none", "n": None, "x": None, "b": None, "v": []}


def test_rows_are_asked_for_as_they_are_written_not_before(tmp_path: Path) -> None:
    given = 0

    def rows() -> Iterator[Sequence[Any]]:
        nonlocal given
        for _ in range(20_000):
            given += 1
            yield ["k", 1, 1.0, True, None]
        raise LedgerUnavailable("PostgreSQL is away")

    with pytest.raises(LedgerUnavailable, match="is away"):
        parquet.write(tmp_path / "x.parquet", COLUMNS, rows())
    assert given == 20_000
    assert list(tmp_path.iterdir()) == []


def test_answers_are_exported_with_their_usage_cost_and_errors(tmp_path: Path) -> None:
    rows = [row(1), row(2, state=JobState.FAILED, result=None, error={"message": "no"}, cost_usd=None)]

    said = prompt.KIND.export(iter(rows), "parquet", tmp_path / "a.parquet")

    first, second = content(tmp_path / "a.parquet")
    assert said == f"2 answers in {tmp_path / 'a.parquet'}"
    assert (first["key"], first["answer"], first["prompt_tokens"], first["cost_usd"]) == ("k1", "okay", 3, 0.5)
    assert orjson.loads(first["input"]) == {"prompt": "p1"}
    assert (second["state"], second["error"], second["cost_usd"]) == ("failed", "no", None)


def test_vectors_of_several_models_are_exported_with_their_documents(tmp_path: Path) -> None:
    rows = [row(1, vector=np.ones(3, np.float32)), row(2), row(3, vector=np.zeros(2, np.float32), model="other")]

    said = embedding.KIND.export(iter(rows), "parquet", tmp_path / "v.parquet")

    found = content(tmp_path / "v.parquet")
    assert said == f"2 vectors in {tmp_path / 'v.parquet'}; 1 jobs without a vector"
    assert [(r["key"], r["model"], r["vector"]) for r in found] == [
        ("k1", "gpt-4o", [1.0, 1.0, 1.0]),
        ("k3", "other", [0.0, 0.0]),
    ]
    assert found[0]["call_id"] == 7_000_000_000_000


def test_an_export_without_a_place_or_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        prompt.KIND.export(iter([row(1)]), "parquet", tmp_path / "no" / "a.parquet")
    with pytest.raises(InputError, match="no vectors"):
        embedding.KIND.export(iter([row(1)]), "parquet", tmp_path / "v.parquet")


def described(*paths: Path) -> tuple[dict[str, Any], list[Problem]]:
    found = list(dictionary.KIND.jobs({"paths": [str(path) for path in paths]}, {}))
    drafts = {item.key: item.input for item in found if isinstance(item, JobDraft)}
    return drafts, [item for item in found if isinstance(item, Problem)]


def test_a_parquet_files_columns_are_described_with_types_and_statistics(tmp_path: Path) -> None:
    numbers = arrow.Array(list(range(3_000)), arrow.DataType.int32())
    words = arrow.Array(["a"] * 3_000, arrow.DataType.utf8())
    offsets = arrow.Array(list(range(3_001)), arrow.DataType.int32())
    arrays = {
        "id": numbers,
        "mail": arrow.Array([f"user{n}@corp.example" for n in range(3_000)], arrow.DataType.utf8()),
        "price": numbers.cast(arrow.DataType.decimal128(12, 2)),
        "day": numbers.cast(arrow.DataType.date32()),
        "half": arrow.Array([None if n % 2 else math.pi for n in range(3_000)], arrow.DataType.float64()),
        "tags": arrow.list_array(offsets, words),
    }
    schema = arrow.Schema([arrow.Field(name, array.type) for name, array in arrays.items()])
    arro3.io.write_parquet(arrow.Table.from_arrays(list(arrays.values()), schema=schema), tmp_path / "shop.parquet")

    fields, problems = described(tmp_path / "shop.parquet")

    assert not problems
    assert {key: told["type"] for key, told in fields.items()} == {
        "shop.id": "int32",
        "shop.mail": "utf8",
        "shop.price": "decimal128(12, 2)",
        "shop.day": "date32",
        "shop.half": "float64",
        "shop.tags": "list(utf8, field: '')",
    }
    assert fields["shop.mail"]["detected"] == "email"
    assert fields["shop.half"]["statistics"]["nulls"] == 1_500
    assert "corp" not in str(fields)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "within"])
def test_a_broken_parquet_file_is_named_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    parquet.write(tmp_path / "good.parquet", COLUMNS, iter([["k", 1, 1.0, True, None]]))
    data = (tmp_path / "good.parquet").read_bytes()
    spoiled = {"empty": b"", "text": b"hello " * 9, "cut": data[:-9], "within": b"PAR1" + b"\xff" * 60 + b"PAR1"}
    (tmp_path / "bad.parquet").write_bytes(spoiled[damage])

    fields, problems = described(tmp_path / "good.parquet", tmp_path / "bad.parquet")

    assert len(fields) == 5
    assert [Path(problem.where).name for problem in problems] == ["bad.parquet"]
