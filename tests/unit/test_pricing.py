"""What calls cost: the price list's figures, each token once, and None where nobody knows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from core.model import ChatRequest, EmbeddingRequest, Message, ResponseSchema, Usage
from core.pricing import Meter, price
from core.settings import Settings, forget

NOW = 1_795_000_000.0


class StoppedClock:
    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPENAI", "AZURE_OPENAI", "ANTHROPIC", "HYPERBOLIC"):
            patch.setenv(f"{name}_API_KEY", "sk-planted")
        patch.setenv("AZURE_OPENAI_ENDPOINT", "https://name.openai.azure.com")
        forget()
        yield patch
    forget()


@pytest.fixture
def meter(environment: pytest.MonkeyPatch) -> Meter:
    assert environment
    return Meter(Settings(), clock=StoppedClock())


def chat(model: str = "gpt-4o-mini", provider: str = "openai", **fields: Any) -> ChatRequest:
    messages = (Message(role="user", content="hello"),)
    return ChatRequest(provider=provider, model=model, messages=messages, **fields)


def listed(provider: str, model: str, usage: Usage) -> float:
    """What genai-prices itself makes of it."""
    counted = genai_prices.Usage(
        input_tokens=usage.prompt,
        output_tokens=usage.completion,
        cache_read_tokens=usage.cached or None,
        cache_write_tokens=usage.cache_write or None,
        output_reasoning_tokens=usage.reasoning or None,
    )
    moment = datetime.fromtimestamp(NOW, UTC)
    found = genai_prices.calc_price(counted, model, provider_id=provider, genai_request_timestamp=moment)
    return float(found.total_price)


def test_cached_tokens_are_billed_once_and_at_their_own_price() -> None:
    usage = Usage(prompt=1_000_000, completion=1_000_000, cached=400_000)
    # gpt-4o-mini: 0.15 USD a million in, 0.075 cached, 0.60 out
    assert price("openai", "gpt-4o-mini", usage, now=NOW) == pytest.approx(0.6 * 0.15 + 0.4 * 0.075 + 0.60)


def test_reasoning_tokens_are_part_of_the_completion() -> None:
    with_reasoning = Usage(prompt=100, completion=1000, reasoning=900)
    without = Usage(prompt=100, completion=1000)
    assert price("openai", "o3-mini", with_reasoning, now=NOW) == price("openai", "o3-mini", without, now=NOW)


@pytest.mark.parametrize("provider", ["openai", "azure", "anthropic"])
def test_every_token_price_on_the_list_gives_what_the_list_itself_computes(provider: str) -> None:
    [found] = [entry for entry in get_snapshot().providers if entry.id == provider]
    usages = (
        Usage(prompt=1000),
        Usage(prompt=1000, completion=200),
        Usage(prompt=1000, completion=200, cached=600),
        Usage(prompt=300_000, completion=2000, cached=250_000, reasoning=1500),
        Usage(prompt=300_000, completion=2000, cached=1000, cache_write=2000),
    )
    compared = 0
    for model in found.models:
        for usage in usages:
            ours = price(provider, model.id, usage, now=NOW)
            if ours is not None:
                assert ours == pytest.approx(listed(provider, model.id, usage), rel=1e-9), (model.id, usage)
                compared += 1
    assert compared > 50


@pytest.mark.parametrize("provider", ["openai", "azure", "anthropic", "hyperbolic"])
def test_an_unknown_model_has_an_unknown_price_and_never_zero(provider: str) -> None:
    assert price(provider, "model-that-nobody-knows", Usage(prompt=10, completion=10), now=NOW) is None


def test_output_without_a_price_is_unknown() -> None:
    assert price("openai", "text-embedding-3-small", Usage(prompt=10, completion=10), now=NOW) is None


def test_rules_cost_nothing() -> None:
    assert price("rules", "rules", Usage(), now=NOW) == 0.0


def test_prices_follow_the_date() -> None:
    before, after = datetime(2025, 6, 1, tzinfo=UTC).timestamp(), datetime(2025, 7, 1, tzinfo=UTC).timestamp()
    usage = Usage(prompt=1000, completion=1000)
    old, new = (price("openai", "o3", usage, now=moment) for moment in (before, after))
    assert old is not None
    assert new is not None
    assert old > new


def test_the_tier_that_was_billed_decides() -> None:
    usage = Usage(prompt=1000, completion=1000)
    standard = price("openai", "gpt-5-mini", usage, now=NOW)
    flex = price("openai", "gpt-5-mini", Usage(prompt=1000, completion=1000, tier="flex"), now=NOW)
    priority = price("openai", "gpt-5-mini", Usage(prompt=1000, completion=1000, tier="priority"), now=NOW)
    assert standard is not None
    assert flex is not None
    assert priority is not None
    assert flex < standard < priority


@pytest.mark.parametrize(
    ("base_url", "model", "known"),
    [
        ("https://api.openai.com/v1", "gpt-4o-mini", True),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", True),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o-mini", True),
        ("http://127.0.0.1:9999/v1", "gpt-4o-mini", True),
        ("http://127.0.0.1:1234/v1", "qwen2.5-coder-7b-instruct", False),
        ("https://api.groq.com/openai/v1", "gpt-4o-mini", False),
    ],
)
def test_the_address_decides_whose_price_list_counts(base_url: str, model: str, *, known: bool) -> None:
    found = price("openai", model, Usage(prompt=10, completion=10), base_url=base_url, now=NOW)
    assert (found is not None) is known


def test_the_worst_case_is_the_prompt_and_all_that_may_be_answered(meter: Meter) -> None:
    tokens, usd = meter.worst_case(chat(params={"max_tokens": 1000}), 200)
    assert tokens == 1200
    assert usd == pytest.approx(200 * 0.15e-6 + 1000 * 0.60e-6)


@pytest.mark.parametrize(
    ("model", "params", "completion"),
    [
        ("gpt-4o-mini", {}, 16_384),
        ("gpt-4o-mini", {"max_completion_tokens": 50}, 50),
        ("gpt-4o-mini", {"max_tokens": 50, "n": 3}, 150),
        ("gpt-4.1-mini", {}, 32_768),
        ("o3-mini", {}, 100_000),
        ("gpt-4", {}, 8_192 - 200),
        ("local-model", {}, 4_096),
    ],
)
def test_without_a_limit_of_its_own_a_request_may_use_up_the_models(
    meter: Meter, model: str, params: dict[str, Any], completion: int
) -> None:
    assert meter.worst_case(chat(model, params=params), 200)[0] == 200 + completion


@pytest.mark.parametrize(
    "usage",
    [
        Usage(prompt=200, completion=1000),
        Usage(prompt=200, completion=1000, cached=200),
        Usage(prompt=200, completion=1000, reasoning=1000),
        Usage(prompt=200, completion=1000, cache_write=200),
    ],
)
@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-4o-mini"), ("openai", "gpt-5.6-luna"), ("anthropic", "claude-sonnet-4-5"), ("azure", "gpt-4o")],
)
def test_no_call_costs_more_than_its_worst_case(meter: Meter, provider: str, model: str, usage: Usage) -> None:
    _, worst = meter.worst_case(chat(model, provider, params={"max_tokens": 1000}), 200)
    cost = meter.cost(provider, model, usage)
    assert cost is not None
    assert worst is not None
    assert 0 < cost <= worst * (1 + 1e-9)


def test_a_dearer_tier_that_is_asked_for_is_in_the_worst_case(meter: Meter) -> None:
    params = {"max_tokens": 1000}
    standard = meter.worst_case(chat("gpt-5-mini", params=params), 200)[1]
    priority = meter.worst_case(chat("gpt-5-mini", params=params | {"service_tier": "priority"}), 200)[1]
    assert standard is not None
    assert priority is not None
    assert priority > standard


def test_the_worst_case_of_another_makers_model_allows_for_its_tokenizer(meter: Meter) -> None:
    _, worst = meter.worst_case(chat("claude-sonnet-4-5", "anthropic", params={"max_tokens": 0}), 1000)
    assert worst == pytest.approx(1500 * 3e-6, rel=0.5)
    assert worst is not None
    assert worst > 1000 * 3e-6


def test_the_worst_case_of_an_unknown_model_is_unknown(meter: Meter) -> None:
    assert meter.worst_case(chat("local-model"), 100) == (100 + 4096, None)


def test_an_embedding_costs_its_prompt(meter: Meter) -> None:
    request = EmbeddingRequest(provider="openai", model="text-embedding-3-small", text="hello world")
    assert meter.prompt_tokens(request) == 2
    tokens, usd = meter.worst_case(request, 2)
    assert tokens == 2
    assert usd == pytest.approx(2 * 0.02e-6)


def test_rules_reserve_no_money(meter: Meter) -> None:
    assert meter.worst_case(chat("rules", "rules", params={"max_tokens": 10}), 5) == (15, 0.0)
    assert meter.cost("rules", "rules", Usage()) == 0.0


def test_prompt_tokens_hold_messages_and_schema(meter: Meter) -> None:
    schema = ResponseSchema(name="answer", json={"type": "object"})
    assert meter.prompt_tokens(chat()) == 3 + 1 + 1 + 3
    assert meter.prompt_tokens(chat(schema=schema)) > meter.prompt_tokens(chat())


def test_a_deployment_costs_what_the_model_behind_it_costs(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AZURE_OPENAI_DEPLOYMENT", "team-a")
    environment.setenv("AZURE_OPENAI_MODEL", "gpt-4o")
    forget()
    meter = Meter(Settings(), clock=StoppedClock())
    usage = Usage(prompt=1000, completion=10)
    assert meter.cost("azure", "team-a", usage) == price("azure", "gpt-4o", usage, now=NOW)
    assert meter.cost("azure", "team-b", usage) is None


def test_a_provider_that_is_not_set_up_is_still_priced_by_its_list() -> None:
    forget()
    assert Meter(Settings(), clock=StoppedClock()).cost("openai", "gpt-4o-mini", Usage(prompt=10)) is not None


@pytest.mark.parametrize(
    "text", ["Say in one sentence what this function returns, and when it raises. " * 20, "日本語の文章" * 40]
)
def test_a_guess_by_the_length_is_rather_high_and_never_far_off(meter: Meter, text: str) -> None:
    request = ChatRequest(provider="openai", model="gpt-4o", messages=(Message(role="user", content=text),))
    exact, guess = meter.prompt_tokens(request), meter.prompt_tokens(request, exact=False)
    assert exact <= guess <= 2 * exact
