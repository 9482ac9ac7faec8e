"""Limits that a forecast goes by: settings, what headers have told the gate, and what somebody assumes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from core.clock import SystemClock
from core.gate.redis import RedisGate
from core.model import LimitHint
from core.ports import Limits, Ticket
from core.settings import forget
from scripts.forecast.assume import Given
from scripts.forecast.quotas import limits
from tests.gates import an_ask, good


async def _told(redis_url: str, *hints: LimitHint) -> None:
    client = aioredis.from_url(redis_url)
    gate = RedisGate(client, lambda _: Limits(), SystemClock())
    ticket = await gate.admit(an_ask(1, provider="openai"))
    assert isinstance(ticket, Ticket)
    await gate.settle(ticket, good(10, limits=hints))
    await gate.close()
    await client.aclose()


@pytest.fixture
def hinted(redis_url: str) -> str:
    """A gate whose provider's headers have told 500 requests and 90,000 tokens a minute."""
    hints = (LimitHint(dimension="requests", limit=500), LimitHint(dimension="tokens", limit=90_000))
    asyncio.run(_told(redis_url, *hints))
    return redis_url


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # nobody's .env
    for name in ("OPENAI_RATE_LIMIT_RPM", "OPENAI_RATE_LIMIT_TPM"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    monkeypatch.undo()
    forget()


def test_headers_count_where_the_settings_tell_nothing_or_more(hinted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_RATE_LIMIT_RPM", "800")
    monkeypatch.setenv("OPENAI_RATE_LIMIT_TPM", "40000")
    forget()
    found, _, told = limits(hinted, ["openai"], Given())
    assert (found["openai"].rpm, found["openai"].tpm) == (500, 40_000)
    sources = {each.name: each.source for each in told}
    assert sources["openai rpm"] == "the provider's headers"
    assert sources["openai tpm"] == "OPENAI_RATE_LIMIT_TPM"


def test_what_somebody_assumes_counts_before_all(hinted: str) -> None:
    found, concurrency, told = limits(hinted, ["openai", "rules"], Given(rpm=3000, concurrency=7))
    assert (found["openai"].rpm, found["openai"].tpm) == (3000, 90_000)
    assert concurrency == {"openai": 7, "rules": 7}
    assert {each.source for each in told if each.name == "openai rpm"} == {"given"}


def test_a_gate_that_is_away_tells_nothing(unused_tcp_port: int) -> None:
    found, _, told = limits(f"redis://127.0.0.1:{unused_tcp_port}/0", ["openai"], Given())
    assert found["openai"].rpm is None
    assert {each.source for each in told if each.name == "openai rpm"} == {"no limit is set"}
