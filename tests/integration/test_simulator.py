"""The simulator over HTTP, with the official client where it has one: what is answered, refused and counted."""

import asyncio
import base64
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import httpx
import numpy as np
import openai
import pytest
import tiktoken
from pydantic import BaseModel

import core.tokens
from core.model import Message
from scripts.simulator.testing import Remote, running
from tasks.docstring.answer import DocstringAnswer

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


def nobody(_messages: Sequence[Message]) -> str | None:
    """Writes nothing by rule, so that the simulator's own answers are seen."""
    return None


@pytest.fixture(scope="module")
def sim() -> Iterator[Remote]:
    with running(writer=nobody) as remote:
        yield remote


def client(remote: Remote, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=remote.base_url, api_key="sk-any", max_retries=0, **options)


def post(remote: Remote, path: str, body: Any, **options: Any) -> httpx.Response:
    return httpx.post(f"{remote.url}{path}", json=body, timeout=10, **options)


def encoding(model: str) -> tiktoken.Encoding:
    return core.tokens.encoding_for(model)[0]


def test_the_official_client_chats_and_the_usage_is_counted_by_tiktoken(sim: Remote) -> None:
    with client(sim) as api:
        reply = api.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Name a colour."}])

    text = reply.choices[0].message.content or ""
    words = encoding("gpt-4o")
    assert "Name a colour." in text
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == len(words.encode(text))
    assert reply.usage.prompt_tokens == 3 + 3 + len(words.encode("user")) + len(words.encode("Name a colour."))
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_the_official_client_gets_a_parsed_structure(sim: Remote) -> None:
    class Person(BaseModel):
        name: str
        age: int
        tags: list[str]

    with client(sim) as api:
        reply = api.chat.completions.parse(
            model="gpt-4o", messages=[{"role": "user", "content": "Who?"}], response_format=Person
        )

    assert isinstance(reply.choices[0].message.parsed, Person)


def test_a_kinds_writer_answers_its_prompt() -> None:
    def writer(messages: Sequence[Message]) -> str | None:
        return f"{messages[0].role}: {messages[0].content.upper()}"

    with running(writer=writer) as remote, client(remote) as api:
        reply = api.chat.completions.create(model="gpt-4o", messages=[{"role": "system", "content": "quiet"}])

    assert reply.choices[0].message.content == "system: QUIET"


def test_an_answer_over_max_tokens_is_cut_to_them(sim: Remote) -> None:
    with client(sim) as api:
        reply = api.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Tell me all."}], max_completion_tokens=5
        )

    assert reply.choices[0].finish_reason == "length"
    assert len(encoding("gpt-4o").encode(reply.choices[0].message.content or "")) <= 5
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 5


def test_text_parts_and_json_objects_are_understood(sim: Remote) -> None:
    body = {
        **CHAT,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Answer in JSON."}]}],
        "response_format": {"type": "json_object"},
    }

    content = post(sim, "/v1/chat/completions", body).json()["choices"][0]["message"]["content"]

    assert content.startswith('{"answer":')


def test_a_repeated_long_prompt_comes_partly_from_the_providers_cache(sim: Remote) -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": "a long story " * 600}]}

    usages = [post(sim, "/v1/chat/completions", body).json()["usage"] for _ in range(2)]

    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages] == [
        0,
        usages[0]["prompt_tokens"] // 128 * 128,
    ]


def test_the_official_client_embeds_in_base64_and_in_floats_to_the_same_vectors(sim: Remote) -> None:
    texts = ["one text", "another text"]
    with client(sim) as api:
        packed = api.embeddings.create(model="text-embedding-3-small", input=texts)
        floats = api.embeddings.create(model="text-embedding-3-small", input=texts, encoding_format="float")
    raw = post(sim, "/v1/embeddings", {"model": "m", "input": "one text", "encoding_format": "base64"}).json()

    np.testing.assert_allclose(packed.data[1].embedding, floats.data[1].embedding, atol=1e-7)
    assert [entry.index for entry in packed.data] == [0, 1]
    assert len(packed.data[0].embedding) == 1536
    assert packed.usage.prompt_tokens == sum(len(encoding("text-embedding-3-small").encode(text)) for text in texts)
    np.testing.assert_allclose(
        np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4"), packed.data[0].embedding, atol=1e-7
    )


@pytest.mark.parametrize(
    ("model", "dimensions", "length"),
    [("text-embedding-3-small", 256, 256), ("text-embedding-3-large", None, 3072), ("nomic-embed", None, 1536)],
)
def test_vectors_have_the_asked_or_the_models_own_length(
    sim: Remote, model: str, dimensions: int | None, length: int
) -> None:
    body = {"model": model, "input": "x"} | ({"dimensions": dimensions} if dimensions else {})

    assert len(post(sim, "/v1/embeddings", body).json()["data"][0]["embedding"]) == length


def test_token_ids_embed_as_their_text(sim: Remote) -> None:
    ids = encoding("text-embedding-3-small").encode("the same text")
    inputs: list[Any] = ["the same text", ids, [ids, ids]]

    replies = [
        post(sim, "/v1/embeddings", {"model": "text-embedding-3-small", "input": given}).json() for given in inputs
    ]

    assert [len(reply["data"]) for reply in replies] == [1, 1, 2]
    assert len({str(entry["embedding"]) for reply in replies for entry in reply["data"]}) == 1
    assert replies[2]["usage"]["prompt_tokens"] == 2 * len(ids)


def test_models_are_listed_and_described(sim: Remote) -> None:
    with client(sim) as api:
        names = [model.id for model in api.models.list()]
        assert api.models.retrieve("gpt-4o").id == "gpt-4o"
        with pytest.raises(openai.NotFoundError):
            api.models.retrieve("gpt-nothing")
    assert "text-embedding-3-small" in names


def test_only_the_chosen_models_are_served() -> None:
    with running(writer=nobody, models=["mine"]) as remote, client(remote) as api:
        assert [model.id for model in api.models.list()] == ["mine"]
        with pytest.raises(openai.NotFoundError) as caught:
            api.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"


def test_azure_deployments_are_served_under_their_paths() -> None:
    with (
        running(writer=nobody, key="azure-key") as remote,
        openai.AzureOpenAI(
            azure_endpoint=remote.url, api_key="azure-key", api_version="2024-10-21", max_retries=0
        ) as api,
    ):
        chat = api.chat.completions.create(model="my-deployment", messages=[{"role": "user", "content": "x"}])
        vectors = api.embeddings.create(model="my-vectors", input="x")
        no_version = post(remote, "/openai/deployments/d/chat/completions", CHAT, headers={"api-key": "azure-key"})

    assert (chat.model, vectors.model) == ("my-deployment", "my-vectors")
    assert no_version.status_code == 404


def test_anthropic_messages_come_in_their_own_shape(sim: Remote) -> None:
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 400,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}],
    }
    reply = post(sim, "/v1/messages", body, headers={"anthropic-version": "2023-06-01", "x-api-key": "k"})

    assert reply.headers["request-id"]
    found = reply.json()
    assert (found["type"], found["role"], found["stop_reason"]) == ("message", "assistant", "end_turn")
    assert "Hello." in found["content"][0]["text"]
    assert found["usage"]["input_tokens"] > 5
    assert found["usage"]["output_tokens"] == len(encoding("gpt-4o").encode(found["content"][0]["text"]))


@pytest.mark.parametrize("way", ["output_config", "output_format", "tool"])
def test_anthropic_structures_come_in_the_way_they_were_asked_for(sim: Remote, way: str) -> None:
    schema = DocstringAnswer.model_json_schema()
    ways: dict[str, dict[str, Any]] = {
        "output_config": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "output_format": {"output_format": {"type": "json_schema", "schema": schema}},
        "tool": {
            "tools": [{"name": "answer", "input_schema": schema}],
            "tool_choice": {"type": "tool", "name": "answer"},
        },
    }
    body: dict[str, Any] = {
        "model": "claude",
        "max_tokens": 400,
        "messages": [{"role": "user", "content": "x"}],
        **ways[way],
    }

    block = post(sim, "/v1/messages", body, headers={"anthropic-version": "2023-06-01"}).json()["content"][0]

    if way == "tool":
        DocstringAnswer.model_validate(block["input"])
    else:
        DocstringAnswer.model_validate_json(block["text"])


async def test_hundreds_of_calls_at_once_are_all_held_in_flight() -> None:
    simulator = running(writer=nobody, latency="6", tokens="approx")
    async with simulator as remote, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def status() -> int:
            async with session.post(f"{remote.base_url}/chat/completions", json=CHAT) as reply:
                return reply.status

        statuses = await asyncio.gather(*(status() for _ in range(400)))
        stats = remote.stats()

    assert statuses == [200] * 400
    assert (stats["max_in_flight"], stats["in_flight"]) == (400, 0)
