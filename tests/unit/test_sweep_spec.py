"""What a spec refuses before anything is stored, and what makes two specs the same sweep."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.sweep import SweepSpec


def spec(**changes: Any) -> SweepSpec:
    plain = {"name": "s", "kind": "prompt", "targets": [{"provider": "openai", "model": "m"}]}
    return SweepSpec.model_validate({**plain, **changes})


@pytest.mark.parametrize("params", [{"temperature": []}, {"temperature": [float("nan")]}, {"n": [[float("inf")]]}])
def test_a_grid_without_points_or_with_no_numbers_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(params=params)


def test_the_order_of_words_in_a_file_makes_no_other_sweep() -> None:
    one = spec(options={"a": 1, "b": {"c": 2, "d": 3}}, params={"x": [1], "y": [2]})
    other = spec(options={"b": {"d": 3, "c": 2}, "a": 1}, params={"y": [2], "x": [1]})

    assert one.digest() == other.digest()
    assert one.variants() == other.variants()


def test_name_note_and_budget_make_no_other_sweep_but_all_else_does() -> None:
    assert spec(budget_usd=1.0, description="x", name="t").digest() == spec().digest()
    assert spec(chunk_size=8).digest() != spec().digest()


def test_a_field_that_a_later_version_adds_makes_no_other_sweep_of_an_old_one() -> None:
    class Later(SweepSpec):
        novelty: int = 7

    plain = {"name": "s", "kind": "prompt", "targets": [{"provider": "openai", "model": "m"}]}
    assert Later.model_validate(plain).digest() == spec().digest()
    assert Later.model_validate({**plain, "novelty": 8}).digest() != spec().digest()
