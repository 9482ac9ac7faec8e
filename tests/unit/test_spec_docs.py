"""docs/spec.md: its examples are specs that a sweep can be made of, and it tells every field."""

import re
import tomllib
from pathlib import Path

import pytest

from core.sweep import SweepSpec
from tasks import producer
from tasks.registry import NAMES, kind

TEXT = (Path(__file__).parents[2] / "docs" / "spec.md").read_text()
EXAMPLES = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["kind"]))
def test_an_example_is_a_spec_that_its_kind_takes(example: dict[str, object]) -> None:
    spec = producer.check(SweepSpec.model_validate({"name": "example", **example}))
    assert spec.variants()


def test_there_is_an_example_of_every_kind_and_it_shows_all_its_options() -> None:
    assert {str(example["kind"]) for example in EXAMPLES} == set(NAMES)
    for name in NAMES:
        options = kind(name).options_model.model_fields
        shown = {key for example in EXAMPLES if example["kind"] == name for key in example.get("options", {})}
        params = {key for example in EXAMPLES if example["kind"] == name for key in example.get("params", {})}
        told = {field if field != "answer_schema" else "schema" for field in options}
        assert told <= shown | params, name


def test_every_field_of_a_spec_and_of_a_source_is_told() -> None:
    table = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert table == set(SweepSpec.model_fields)
    for name in NAMES:
        for field in kind(name).source_model.model_fields:
            assert re.search(rf"\b{field}\b", TEXT), f"{name}: {field}"
