"""Encodings and counts that need no database."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LedgerRefused
from core.model import (
    ChunkRef,
    JobResult,
    JobState,
    Lease,
    Outcome,
    Usage,
    Variant,
    VectorRecord,
)
from db import documents, rows
from db.tally import shares
from tests.records import call

LEASE = Lease(
    ref=ChunkRef(sweep_id=1, no=0),
    owner="w",
    fence=1,
    kind="prompt",
    sweep_name="s",
    group_id=1,
    variant=Variant(provider="openai", model="m"),
)


def jobs(count: int, *, cached: int = 0) -> tuple[JobResult, ...]:
    return tuple(JobResult(job_id=n, state=JobState.DONE, cached=n >= count - cached) for n in range(count))


@given(
    tokens=st.lists(st.integers(0, 10_000), min_size=1, max_size=5),
    costs=st.lists(st.integers(0, 10**9), min_size=1, max_size=5),
    count=st.integers(1, 40),
    cached=st.integers(0, 10),
)
def test_what_jobs_share_adds_up_to_what_their_calls_cost(
    tokens: list[int], costs: list[int], count: int, cached: int
) -> None:
    paired = list(zip(tokens, costs, strict=False))
    calls = tuple(
        call(n, usage=Usage(prompt=t, completion=t // 2), cost_usd=c / 1e9) for n, (t, c) in enumerate(paired)
    )
    given_jobs = jobs(count + cached, cached=cached)
    parts = [share for _, share in shares(Outcome(lease=LEASE, calls=calls, jobs=given_jobs))]
    assert sum(part.usage.prompt for part in parts) == sum(t for t, _ in paired)
    assert sum(part.usage.completion for part in parts) == sum(t // 2 for t, _ in paired)
    assert sum(part.nano or 0 for part in parts) == sum(c for _, c in paired)
    assert all(part.usage.total == 0 for part in parts[count:])


def test_one_unknown_price_makes_the_share_unknown() -> None:
    calls = (call(1, usage=None, cost_usd=0.5), call(2, usage=Usage(prompt=3), cost_usd=None))
    parts = [share for _, share in shares(Outcome(lease=LEASE, calls=calls, jobs=jobs(2)))]
    assert [part.nano for part in parts] == [None, None]
    assert [part.usage.prompt for part in parts] == [2, 1]


def test_jobs_without_a_call_cost_nothing() -> None:
    assert [share.nano for _, share in shares(Outcome(lease=LEASE, jobs=jobs(2)))] == [0, 0]


@pytest.mark.parametrize("price", [math.nan, math.inf, -1.0, 1e12, None])
def test_what_is_no_price_is_an_unknown_one(price: float | None) -> None:
    assert rows.nano(price) is None


def test_absurd_token_counts_are_cut_to_what_columns_hold() -> None:
    assert rows.bounded(Usage(prompt=10**30, completion=-5, cached=3)) == Usage(prompt=2**30 - 1, cached=3)
    assert rows.bounded(Usage(prompt=7, completion=1)) == Usage(prompt=7, completion=1)


ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers()))
def test_any_json_comes_back_as_it_went(value: dict[str, str | int]) -> None:
    assert documents.load_json(documents.dump_json(value).decode()) == value


def test_json_that_holds_foreign_values_is_still_json() -> None:
    assert json.loads(documents.dump_json({"a": math.nan, "b": set})) == {"a": None, "b": "<class 'set'>"}


@given(ANY_TEXT)
def test_a_text_field_never_breaks_its_line(text: str) -> None:
    field = rows.text_field(text)
    assert not set(b"\t\n\r\0") & set(field)


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_an_array_literal_keeps_its_brackets(values: list[str | None]) -> None:
    literal = rows.text_array(values)
    assert literal.startswith("{")
    assert literal.endswith("}")
    assert "\0" not in literal


def test_a_vector_survives_pgvectors_wire_format() -> None:
    vector = np.random.default_rng(1).standard_normal(300).astype(np.float32)
    stream = rows.vector_stream([VectorRecord(call_id=1, position=0, fingerprint="f", model="m", vector=vector)])
    data = stream.getvalue()
    start = data.index((300).to_bytes(2, "big") + b"\0\0")
    assert np.array_equal(rows.read_vector(data[start : start + 4 + 1200]), vector)


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf], [0.0] * 16_001])
def test_a_vector_that_cannot_be_kept_is_refused(values: list[float]) -> None:
    bad = VectorRecord(call_id=1, position=0, fingerprint="f", model="m", vector=np.array(values, dtype=np.float32))
    with pytest.raises(LedgerRefused):
        rows.vector_stream([bad])
