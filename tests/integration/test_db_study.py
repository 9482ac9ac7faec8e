"""Analytics over all calls: what the rows say, by provider, time and text."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from core.errors import InputError
from db import study
from db.engine import connect
from db.models import RawCall

NOW = datetime.now(UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url, role="reader")
    yield opened
    opened.dispose()


def add(engine: sqlalchemy.Engine, **changes: Any) -> None:
    plain: dict[str, Any] = {
        "provider": "openai",
        "model": "small",
        "modality": "chat",
        "status": "success",
        "fingerprint": "f",
        "request_json": {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]},
        "response_json": {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
        "latency_ms": 100.0,
        "tokens_json": {"prompt": 8, "completion": 2, "total": 10},
        "cost_usd": 0.5,
        "created_at": NOW,
    }
    with Session(engine) as session, session.begin():
        session.add(RawCall(**{**plain, **changes}))


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_an_empty_database_has_nothing_to_say(engine: sqlalchemy.Engine) -> None:
    nothing: list[Any] = [study.compare(engine), study.recent(engine), study.series(engine), study.search(engine, "x")]
    assert nothing == [[], [], [], []]
    assert study.summary(engine) == study.Summary(calls=0, tokens=0, cost_usd=None, providers={})


def test_providers_are_compared_by_what_they_did(engine: sqlalchemy.Engine) -> None:
    for latency in (100.0, 200.0, 600.0):
        add(engine, latency_ms=latency)
    failed: dict[str, Any] = {"status": "failed", "tokens_json": None, "cost_usd": None, "response_json": None}
    add(engine, provider="azure", model="large", **failed)
    first, second = study.compare(engine)
    assert (first.provider, first.model, first.median_latency_ms) == ("openai", "small", 200.0)
    assert (first.numbers.calls, first.numbers.success_rate, first.numbers.tokens) == (3, 1.0, 30)
    assert (first.numbers.mean_tokens, first.numbers.mean_latency_ms, first.numbers.cost_usd) == (10, 300, 1.5)
    assert (second.numbers.failed, second.numbers.cost_usd, second.numbers.cost_unknown) == (1, None, 1)
    assert study.compare(engine, since=NOW + timedelta(days=1)) == []


def test_recent_calls_come_newest_first(engine: sqlalchemy.Engine) -> None:
    for minutes, provider in ((5, "openai"), (1, "azure"), (9, "azure")):
        add(engine, provider=provider, created_at=NOW - timedelta(minutes=minutes))
    assert [row.provider for row in study.recent(engine)] == ["azure", "openai", "azure"]
    [only] = study.recent(engine, limit=1, provider="openai")
    assert (only.prompt, only.response, only.tokens, only.cost_usd) == ("hello", "hi", 10, 0.5)


@pytest.mark.parametrize(("bucket", "points"), [("day", 2), ("hour", 3), ("minute", 4)])
def test_calls_are_counted_in_time_buckets(engine: sqlalchemy.Engine, bucket: study.Bucket, points: int) -> None:
    noon = (NOW - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    for when in (noon, noon + timedelta(minutes=3), noon + timedelta(hours=2), noon + timedelta(days=1)):
        add(engine, created_at=when)
    add(engine, created_at=noon - timedelta(days=60))
    found = study.series(engine, days=7, bucket=bucket)
    assert len(found) == points
    assert sum(point.numbers.calls for point in found) == 4
    assert [point.start for point in found] == sorted(point.start for point in found)
    assert study.series(engine, provider="azure") == []


@pytest.mark.parametrize(
    ("term", "hits"),
    [
        ("100%", 1),
        ("100", 2),
        ("under_score", 1),
        ("UNDER", 2),
        ('say "cheese"', 1),
        ("back\\slash", 1),
        ("two\nlines", 1),
        ("Grüße", 1),
        ("'; DROP TABLE raw_calls; --", 0),
    ],
)
def test_a_search_takes_its_term_as_it_is(engine: sqlalchemy.Engine, term: str, hits: int) -> None:
    prompts = [
        "100% sure",
        "1000 times",
        "under_score",
        "underXscore",
        'say "cheese"',
        "back\\slash",
        "two\nlines",
        "Grüße",
    ]
    for prompt in prompts:
        add(engine, request_json=ask(prompt))
    assert len(study.search(engine, term)) == hits


def test_the_summary_adds_everything_up(engine: sqlalchemy.Engine) -> None:
    add(engine)
    add(engine, provider="azure", cost_usd=None)
    found = study.summary(engine)
    assert (found.calls, found.tokens, found.cost_usd) == (2, 20, 0.5)
    assert found.providers == {"azure": (1, 10, None), "openai": (1, 10, 0.5)}


def test_what_cannot_be_asked_is_bad_input(engine: sqlalchemy.Engine) -> None:
    for refused in (
        lambda: study.search(engine, "  "),
        lambda: study.series(engine, bucket="week"),  # type: ignore[arg-type] # what a command line may bring
        lambda: study.series(engine, days=0),
    ):
        with pytest.raises(InputError):
            refused()
