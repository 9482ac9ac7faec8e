"""Azure, Anthropic, Hyperbolic and the offline rules: what they send, and what they make of replies."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from openai import AsyncAzureOpenAI

from core.errors import InputError, MalformedAnswer, ProviderRefused
from core.model import ChatRequest, Message, ResponseSchema, Usage, Vector
from core.ports import Provider
from core.providers import create
from core.settings import ProviderSettings, forget
from tests.contract.raw_http import RawServer, http, raw_server

KEY = "planted-0123456789abcdef"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

OPENAI_CHAT = {
    "model": "gpt-4o-2024-08-06",
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}
ANTHROPIC_CHAT = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7},
}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as found:
        yield found


def a_request(provider: str, model: str, **fields: Any) -> ChatRequest:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="Say hello."))
    values: dict[str, Any] = {"provider": provider, "model": model, "messages": messages}
    return ChatRequest(**(values | fields))


def anthropic(server: RawServer) -> Provider:
    return create("anthropic", ProviderSettings(base_url=server.url, api_key=KEY))


async def test_azure_is_called_as_its_own_client_calls_it(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    endpoint = f"http://127.0.0.1:{server.port}"
    settings = ProviderSettings(endpoint=endpoint, api_key=KEY, api_version="2024-10-21")
    provider = create("azure", settings)
    reply = await provider.chat(a_request("azure", "my gpt-4o"))
    await provider.close()
    reference = AsyncAzureOpenAI(azure_endpoint=endpoint, api_key=KEY, api_version="2024-10-21", max_retries=0)
    async with reference:
        await reference.chat.completions.create(model="my gpt-4o", messages=[])
    ours, theirs = server.seen
    assert ours.path == theirs.path == "/openai/deployments/my%20gpt-4o/chat/completions?api-version=2024-10-21"
    assert ours.headers["api-key"] == theirs.headers["api-key"] == KEY
    assert "authorization" not in ours.headers
    assert reply.model == "gpt-4o-2024-08-06"


async def test_azure_embeds_through_the_deployment(server: RawServer) -> None:
    server.answer(http({"data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": {"prompt_tokens": 1}}))
    provider = create("azure", ProviderSettings(endpoint=f"http://127.0.0.1:{server.port}/", api_key=KEY))
    await provider.embed("embedder", ["one"], 2)
    await provider.close()
    assert server.seen[0].path == "/openai/deployments/embedder/embeddings?api-version=2024-10-21"


async def test_azure_finds_the_deployment_of_the_model_that_its_settings_name(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    settings = ProviderSettings(
        endpoint=f"http://127.0.0.1:{server.port}", api_key=KEY, model="gpt-4o", deployment="team-a"
    )
    provider = create("azure", settings)
    await provider.chat(a_request("azure", "gpt-4o"))
    await provider.chat(a_request("azure", "other"))
    await provider.close()
    assert [seen.path.split("/")[3] for seen in server.seen] == ["team-a", "other"]


async def test_azures_api_without_versions_is_called_where_its_base_url_says(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    base_url = f"http://127.0.0.1:{server.port}/openai/v1/"
    provider = create("azure", ProviderSettings(base_url=base_url, api_key=KEY))
    await provider.chat(a_request("azure", "team-a"))
    await provider.close()
    assert (server.seen[0].path, server.seen[0].json["model"]) == ("/openai/v1/chat/completions", "team-a")


async def test_azures_reasoning_models_get_the_limit_under_the_name_that_they_know(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    provider = create("azure", ProviderSettings(endpoint=f"http://127.0.0.1:{server.port}", api_key=KEY))
    await provider.chat(a_request("azure", "o3-mini", params={"max_tokens": 9}))
    await provider.chat(a_request("azure", "gpt-4o", params={"max_tokens": 9}))
    await provider.close()
    assert [seen.json.get("max_completion_tokens") for seen in server.seen] == [9, None]
    assert [seen.json.get("max_tokens") for seen in server.seen] == [None, 9]


async def test_azures_content_filter_is_one_also_as_an_http_error(server: RawServer) -> None:
    error = {"code": "content_filter", "message": "filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    server.answer(http({"error": error}, status=400))
    provider = create("azure", ProviderSettings(endpoint=f"http://127.0.0.1:{server.port}", api_key=KEY))
    with pytest.raises(ProviderRefused) as caught:
        await provider.chat(a_request("azure", "gpt-4o"))
    await provider.close()
    assert caught.value.code == "content_filter"


async def test_hyperbolic_speaks_openais_language(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    provider = create("hyperbolic", ProviderSettings(base_url=server.url, api_key=KEY))
    reply = await provider.chat(a_request("hyperbolic", "meta-llama/Llama-3.3-70B-Instruct"))
    await provider.close()
    assert provider.name == "hyperbolic"
    assert server.seen[0].path == "/v1/chat/completions"
    assert reply.text == "hello"


async def test_anthropic_gets_the_system_prompt_apart_and_always_a_limit(server: RawServer) -> None:
    server.answer(http(ANTHROPIC_CHAT))
    provider = anthropic(server)
    await provider.chat(a_request("anthropic", "claude-sonnet-4-5", params={"temperature": 0}))
    await provider.close()
    seen = server.seen[0]
    assert seen.path == "/v1/messages"
    assert (seen.headers["x-api-key"], seen.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert seen.json == {
        "model": "claude-sonnet-4-5",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 4096,
        "temperature": 0,
    }


async def test_anthropics_cached_tokens_are_part_of_the_prompt(server: RawServer) -> None:
    server.answer(http(ANTHROPIC_CHAT, headers={"request-id": "req_1"}))
    provider = anthropic(server)
    reply = await provider.chat(a_request("anthropic", "claude-sonnet-4-5"))
    await provider.close()
    assert reply.usage == Usage(prompt=117, completion=4, cached=100, cache_write=7)
    assert (reply.text, reply.finish_reason, reply.request_id) == ("hello", "stop", "req_1")


async def test_a_schema_becomes_a_tool_that_anthropic_must_use(server: RawServer) -> None:
    used = [
        {"type": "text", "text": "Sure."},
        {"type": "tool_use", "id": "t", "name": "my_answer", "input": {"a": "b"}},
    ]
    server.answer(http({**ANTHROPIC_CHAT, "content": used, "stop_reason": "tool_use"}))
    provider = anthropic(server)
    schema = ResponseSchema(name="my answer", json=SCHEMA)
    reply = await provider.chat(a_request("anthropic", "claude-sonnet-4-5", schema=schema))
    await provider.close()
    sent = server.seen[0].json
    assert sent["tools"][0]["input_schema"] == SCHEMA
    assert sent["tool_choice"] == {"type": "tool", "name": sent["tools"][0]["name"]}
    assert orjson.loads(reply.text) == {"a": "b"}
    assert reply.finish_reason == "stop"


async def test_an_answer_that_anthropic_cut_says_so(server: RawServer) -> None:
    server.answer(http({**ANTHROPIC_CHAT, "stop_reason": "max_tokens"}))
    provider = anthropic(server)
    reply = await provider.chat(a_request("anthropic", "claude-sonnet-4-5"))
    await provider.close()
    assert reply.finish_reason == "length"


async def test_anthropics_refusal_is_a_content_filter_with_its_usage(server: RawServer) -> None:
    server.answer(http({**ANTHROPIC_CHAT, "content": [], "stop_reason": "refusal"}))
    provider = anthropic(server)
    with pytest.raises(ProviderRefused) as caught:
        await provider.chat(a_request("anthropic", "claude-sonnet-4-5"))
    await provider.close()
    assert caught.value.code == "content_filter"
    assert caught.value.usage is not None
    assert caught.value.usage.completion == 4


@pytest.mark.parametrize("content", [None, [], "hello", [{"type": "thinking", "thinking": "hm"}], ["hello"]])
async def test_an_anthropic_answer_without_text_is_malformed(server: RawServer, content: Any) -> None:
    server.answer(http({**ANTHROPIC_CHAT, "content": content}))
    provider = anthropic(server)
    with pytest.raises(MalformedAnswer) as caught:
        await provider.chat(a_request("anthropic", "claude-sonnet-4-5"))
    await provider.close()
    assert caught.value.usage is not None


async def test_anthropics_error_gives_type_message_and_wait(server: RawServer) -> None:
    told = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}, "request_id": "req_2"}
    server.answer(http(told, status=429, headers={"retry-after": "8"}))
    provider = anthropic(server)
    with pytest.raises(ProviderRefused) as caught:
        await provider.chat(a_request("anthropic", "claude-sonnet-4-5"))
    await provider.close()
    error = caught.value
    assert (error.type, error.message, error.retry_after) == ("rate_limit_error", "Slow down.", 8)


async def test_anthropic_has_no_embeddings_and_refuses_as_a_call_does() -> None:
    provider = create("anthropic", ProviderSettings(base_url="https://api.anthropic.com/v1", api_key=KEY))
    with pytest.raises(ProviderRefused, match="no embeddings") as caught:
        await provider.embed("any", ["one"])
    assert caught.value.status == 404


async def test_rules_answer_with_the_injected_writer_and_cost_nothing() -> None:
    def writer(messages: Sequence[Message]) -> str | None:
        return messages[-1].content.upper()

    reply = await create("rules", answer=writer).chat(a_request("rules", "rules"))
    assert (reply.text, reply.usage) == ("SAY HELLO.", Usage())


async def test_a_prompt_that_no_rule_knows_is_refused() -> None:
    with pytest.raises(ProviderRefused) as caught:
        await create("rules", answer=lambda _: None).chat(a_request("rules", "rules"))
    assert caught.value.status == 422


async def test_rules_embed_with_the_injected_embedder_or_not_at_all() -> None:
    def embedder(texts: Sequence[str], dimensions: int | None) -> Vector:
        return np.ones((len(texts), dimensions or 3), dtype=np.float32)

    reply = await create("rules", answer=lambda _: None, embedder=embedder).embed("any", ["a", "b"], 4)
    assert reply.vectors.shape == (2, 4)
    with pytest.raises(ProviderRefused, match="no embeddings"):
        await create("rules", answer=lambda _: None).embed("any", ["a"])


def test_an_unknown_provider_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match="grok") as caught:
        create("grok", ProviderSettings())
    assert "openai" in caught.value.hint


@pytest.mark.parametrize("key", ["sk-1\nX-Evil: 1", "sk-ünïcode", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_bad_input_and_is_not_repeated(key: str) -> None:
    with pytest.raises(InputError) as caught:
        create("openai", ProviderSettings(api_key=key, base_url="https://api.openai.com/v1"))
    assert key not in str(caught.value)


async def test_openais_organization_is_sent_where_it_is_set(server: RawServer) -> None:
    server.answer(http(OPENAI_CHAT))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_ORGANIZATION", "org-1")
        forget()
        provider = create("openai", ProviderSettings(base_url=server.url, api_key=KEY))
    forget()
    await provider.chat(a_request("openai", "gpt-4o"))
    await provider.close()
    assert server.seen[0].headers["openai-organization"] == "org-1"
