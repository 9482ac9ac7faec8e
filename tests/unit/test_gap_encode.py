"""Encodings: TOON as its public fixtures want it, every encoding readable again, the cheapest one chosen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toon_format
from hypothesis import given
from hypothesis import strategies as st

from core import tokens
from tasks.gap import encode

FIXTURES = Path(__file__).parents[1] / "data" / "toon"

# Version 4 of the specification decides these otherwise than the published fixtures of 3.3: objects that share nested
# fields are a table with field groups, and a malformed header is an error in non-strict mode too.
CHANGED_IN_4 = {
    "uses list format for objects with nested values",
    "treats extra brackets after valid array segment as literal key (non-strict)",
    "treats non-integer bracket content as literal key (non-strict)",
    "treats text between bracket segment and colon as literal key (non-strict)",
}

CELL = st.text(max_size=30).map(lambda text: " ".join(text.encode("utf-8", "replace").decode().split()))
CELLS = st.one_of(
    CELL, st.sampled_from(["", "|", "a|b", "\\", "\\|", '"', "a,b", "5", "true", "null", "- x", "a: b", "[1]"])
)
ROWS = st.lists(st.fixed_dictionaries({"at": CELLS, "name": CELLS, "rest": CELLS}), max_size=5)


def fixtures() -> Iterator[Any]:
    for path in sorted(FIXTURES.rglob("*.json")):
        content = json.loads(path.read_text())
        for case in content["tests"]:
            if case["name"] not in CHANGED_IN_4:
                yield pytest.param(content["category"], case, id=f"{content['category']}-{path.stem}-{case['name']}")


@pytest.mark.parametrize(("category", "case"), list(fixtures()))
def test_toon_does_what_the_public_fixtures_want(category: str, case: dict[str, Any]) -> None:
    names = {"indent": "indent_size", "delimiter": "delimiter", "strict": "strict"}
    options = {names[name]: value for name, value in case.get("options", {}).items()}
    run: Any = toon_format.encode if category == "encode" else toon_format.decode

    if case.get("shouldError"):
        with pytest.raises(ValueError):  # noqa: PT011 - the fixtures leave the words open
            run(case["input"], **options)
    else:
        assert run(case["input"], **options) == case["expected"]


@given(ROWS, ROWS)
def test_what_is_encoded_can_be_read_again_whatever_the_cells_hold(
    requirements: list[dict[str, str]], symbols: list[dict[str, str]]
) -> None:
    tables = {"requirements": requirements, "symbols": symbols}

    for name, write in encode.ENCODINGS.items():
        assert encode.decode(name, write(tables)) == tables, name


@given(ROWS)
def test_the_chosen_encoding_takes_no_more_tokens_than_any_other(rows: list[dict[str, str]]) -> None:
    tables = {"requirements": rows, "symbols": rows}

    chosen = encode.cheapest(tables, "gpt-4o")

    assert chosen.tokens == {name: tokens.count(write(tables), "gpt-4o") for name, write in encode.ENCODINGS.items()}
    assert tokens.count(chosen.text, "gpt-4o") == min(chosen.tokens.values())


def test_many_flat_rows_take_a_third_less_than_compact_json() -> None:
    rows = [
        {"at": f"pkg/mod.py:{n}", "kind": "function", "name": f"read_{n}", "summary": "Read a file"} for n in range(40)
    ]

    chosen = encode.cheapest({"symbols": rows}, "gpt-4o")

    assert chosen.name != "json"
    assert chosen.tokens[chosen.name] < 0.67 * chosen.tokens["json"]


@pytest.mark.parametrize("name", list(encode.ENCODINGS))
def test_a_text_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each decoder has words of its own
        encode.decode(name, 'symbols\nat|name\na|b|c,"d\n {')
