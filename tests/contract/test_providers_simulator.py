"""The simulator's replies mean the same to the `openai` package and to us, its faults end as our errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from core.errors import MalformedAnswer, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from core.model import ChatRequest, Message
from core.ports import Health, Provider
from core.providers import create
from core.retry import Decision, Fail, Park, Retry, classify
from core.settings import ProviderSettings
from scripts.simulator.testing import Remote, running

PROMPT = "Say something about embeddings."
REQUEST = ChatRequest(
    provider="openai", model="gpt-4o-mini", messages=(Message(role="user", content=PROMPT),), params={"max_tokens": 50}
)


@pytest.fixture
async def simulator() -> AsyncIterator[Remote]:
    async with running(rpm=5000, tpm=500_000) as found:
        yield found


@contextlib.asynccontextmanager
async def connected(simulator: Remote, name: str = "openai", **settings: Any) -> AsyncIterator[Provider]:
    given = {"base_url": simulator.base_url, "api_key": "simulated", **settings}
    provider = create(name, ProviderSettings.model_validate(given))
    try:
        yield provider
    finally:
        await provider.close()


async def test_chat_from_the_simulator_is_read_as_the_reference_reads_it(simulator: Remote) -> None:
    message = ChatCompletionUserMessageParam(role="user", content=PROMPT)
    async with AsyncOpenAI(base_url=simulator.base_url, api_key="x", max_retries=0) as reference:
        expected = await reference.chat.completions.create(model="gpt-4o-mini", messages=[message], max_tokens=50)
    async with connected(simulator) as provider:
        found = await provider.chat(REQUEST)
    assert expected.usage is not None
    assert found.text == expected.choices[0].message.content
    assert found.finish_reason == expected.choices[0].finish_reason
    assert found.usage.prompt == expected.usage.prompt_tokens
    assert found.usage.completion == expected.usage.completion_tokens
    assert {hint.dimension: hint.limit for hint in found.limits} == {"requests": 5000, "tokens": 500_000}
    stats = simulator.stats()
    assert (stats["requests"], stats["unique"]) == (2, 1)


async def test_embeddings_from_the_simulator_are_read_as_the_reference_reads_them(simulator: Remote) -> None:
    texts = [f"text number {i}" for i in range(100)]
    async with AsyncOpenAI(base_url=simulator.base_url, api_key="x", max_retries=0) as reference:
        as_float = await reference.embeddings.create(
            model="text-embedding-3-small", input=texts, dimensions=256, encoding_format="float"
        )
    async with connected(simulator) as provider:
        found = await provider.embed("text-embedding-3-small", texts, 256)
    expected = np.array([entry.embedding for entry in as_float.data], dtype=np.float32)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.usage.prompt == as_float.usage.prompt_tokens


@pytest.mark.parametrize(
    ("fault", "error", "decision"),
    [
        ("500", ProviderRefused, Retry),
        ("503", ProviderRefused, Retry),
        ("429", ProviderRefused, Retry),
        ("429-quota", ProviderRefused, Park),
        ("401", ProviderRefused, Park),
        ("400", ProviderRefused, Fail),
        ("404", ProviderRefused, Fail),
        ("content-filter", ProviderRefused, Fail),
        ("content-filter-200", ProviderRefused, Fail),
        ("redirect", ProviderRefused, Fail),
        ("hang", ProviderTimeout, Retry),
        ("slow-loris", ProviderTimeout, Retry),
        ("reset", ProviderUnreachable, Retry),
        ("truncated", ProviderUnreachable, Retry),
        ("malformed", MalformedAnswer, Retry),
        ("html", MalformedAnswer, Retry),
        ("null", MalformedAnswer, Retry),
        ("empty-choices", MalformedAnswer, Retry),
        ("wrong-shape", MalformedAnswer, Retry),
        ("huge", MalformedAnswer, Retry),
    ],
)
async def test_each_fault_of_the_simulator_ends_as_one_of_our_errors(
    fault: str, error: type[ProviderError], decision: type[Decision]
) -> None:
    timeout_s = 1 if error is ProviderTimeout else 10
    async with running(fail=[fault]) as simulator, connected(simulator, request_timeout=timeout_s) as provider:
        with pytest.raises(error) as caught:
            await provider.chat(REQUEST)
    assert type(caught.value) is error
    assert isinstance(classify(caught.value), decision)


async def test_a_throttled_call_learns_when_it_may_come_back() -> None:
    async with running(rpm=60, burst=1) as simulator, connected(simulator) as provider:
        ended = await asyncio.gather(*(provider.chat(REQUEST) for _ in range(5)), return_exceptions=True)
    refused = [error for error in ended if isinstance(error, ProviderRefused)]
    assert refused
    for error in refused:
        decision = classify(error)
        assert isinstance(decision, Retry)
        assert decision.health is Health.NEUTRAL
        assert decision.after_s is not None
        assert decision.freeze_s == decision.after_s


async def test_anthropics_messages_are_understood_by_the_simulator(simulator: Remote) -> None:
    request = replace(REQUEST, provider="anthropic", model="claude-sonnet-4-5", params={"max_tokens": 9})
    async with connected(simulator, "anthropic") as provider:
        reply = await provider.chat(request)
    assert reply.usage.completion > 0
    assert reply.text
