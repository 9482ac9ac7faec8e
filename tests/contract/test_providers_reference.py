"""The `openai` package is the reference: what it reads from a reply, our transport reads too."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import numpy as np
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from core.errors import ProviderRefused
from core.model import ChatReply, ChatRequest, Message, ResponseSchema
from core.providers import create
from core.settings import ProviderSettings
from tests.contract.raw_http import RawServer, http, raw, raw_server

KEY = "sk-planted-0123456789abcdef"
PROMPT = "Say hello."

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hëllo 🙂", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 112,
        "completion_tokens": 30,
        "total_tokens": 142,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
    },
}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as found:
        yield found


@pytest.fixture
async def reference(server: RawServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0, timeout=5) as client:
        yield client


async def ours(server: RawServer, **fields: Any) -> ChatReply:
    provider = create("openai", ProviderSettings(base_url=server.url, api_key=KEY, request_timeout=5))
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "messages": (Message(role="user", content=PROMPT),),
    }
    try:
        return await provider.chat(ChatRequest(**(values | fields)))
    finally:
        await provider.close()


async def theirs(reference: AsyncOpenAI, **fields: Any) -> openai.types.chat.ChatCompletion:
    message = ChatCompletionUserMessageParam(role="user", content=PROMPT)
    found: openai.types.chat.ChatCompletion = await reference.chat.completions.create(
        model="gpt-4o-mini", messages=[message], **fields
    )
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"choices": [{**CHAT["choices"][0], "finish_reason": "length"}]},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}},
        {"usage": {**CHAT["usage"], "prompt_tokens_details": None, "completion_tokens_details": None}},
    ],
    ids=["whole", "cut", "no answer", "no details"],
)
async def test_a_chat_reply_is_read_as_the_reference_reads_it(
    server: RawServer, reference: AsyncOpenAI, changes: dict[str, Any]
) -> None:
    server.answer(http(CHAT | changes, headers={"x-request-id": "req_1"}))
    expected, found = await theirs(reference), await ours(server)
    usage = expected.usage
    assert usage is not None
    assert found.text == expected.choices[0].message.content
    assert found.finish_reason == expected.choices[0].finish_reason
    assert found.model == expected.model
    assert (found.usage.prompt, found.usage.completion) == (usage.prompt_tokens, usage.completion_tokens)
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    reasoning = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else 0
    assert (found.usage.cached, found.usage.reasoning) == (cached, reasoning)
    assert found.request_id == "req_1"
    assert found.response == CHAT | changes


async def test_a_request_is_sent_as_the_reference_sends_it(server: RawServer, reference: AsyncOpenAI) -> None:
    server.answer(http(CHAT))
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    params = {"temperature": 0.5, "max_tokens": 50, "seed": 7, "stop": ["\n"]}
    wire = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    await theirs(reference, **params, response_format=wire)
    await ours(server, params=params, schema=ResponseSchema(name="answer", json=schema))
    expected, found = server.seen
    assert found.json == expected.json
    assert found.path == expected.path
    for name in ("authorization", "content-type"):
        assert found.headers[name] == expected.headers[name]


async def test_a_deprecated_model_name_in_the_parameters_cannot_replace_ours(server: RawServer) -> None:
    server.answer(http(CHAT))
    await ours(server, params={"model": "gpt-99", "messages": [], "stream": True, "top_p": 1})
    assert server.seen[0].json == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": PROMPT}],
        "top_p": 1,
    }


@pytest.mark.parametrize("wire", ["base64", "float"])
async def test_embeddings_are_read_as_the_reference_reads_them(
    server: RawServer, reference: AsyncOpenAI, wire: str
) -> None:
    vectors = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(row.tobytes()).decode() if wire == "base64" else row.tolist(),
        }
        for i, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    server.answer(http({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}))
    texts = ["one", "two", "three", "four", "five"]
    expected = await reference.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=64)
    provider = create("openai", ProviderSettings(base_url=server.url, api_key=KEY))
    found = await provider.embed("text-embedding-3-small", texts, 64)
    await provider.close()
    np.testing.assert_array_equal(found.vectors, np.array([entry.embedding for entry in expected.data], np.float32))
    assert found.vectors.dtype == np.float32
    assert (found.model, found.usage.prompt) == (expected.model, expected.usage.prompt_tokens)
    theirs_sent, ours_sent = server.seen
    assert ours_sent.json == theirs_sent.json


async def test_dimensions_are_only_sent_when_they_are_asked_for(server: RawServer) -> None:
    server.answer(http({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}}))
    provider = create("openai", ProviderSettings(base_url=server.url, api_key=KEY))
    await provider.embed("text-embedding-3-small", ["one"])
    await provider.close()
    assert server.seen[0].json == {"model": "text-embedding-3-small", "input": ["one"], "encoding_format": "base64"}


STATUS_CLASSES = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "kind"), STATUS_CLASSES)
async def test_an_error_is_read_as_the_reference_reads_it(
    server: RawServer, reference: AsyncOpenAI, status: int, kind: type[openai.APIStatusError]
) -> None:
    told = {"error": {"message": "told so", "type": "some_type", "param": None, "code": "some_code"}}
    server.answer(http(told, status=status, headers={"x-request-id": "req_9"}))
    with pytest.raises(kind) as expected:
        await theirs(reference)
    with pytest.raises(ProviderRefused) as found:
        await ours(server)
    assert found.value.status == expected.value.status_code
    assert (found.value.code, found.value.type) == (expected.value.code, expected.value.type)
    assert found.value.message in str(expected.value)
    assert found.value.headers["x-request-id"] == expected.value.request_id


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "17"},
        {"retry-after-ms": "1700"},
        {"retry-after": "0.25"},
        {"retry-after-ms": "x", "retry-after": "3"},
    ],
)
async def test_retry_after_is_read_as_the_reference_reads_it(
    server: RawServer, reference: AsyncOpenAI, headers: dict[str, str]
) -> None:
    server.answer(http({"error": {"message": "slow down"}}, status=429, headers=headers))
    with pytest.raises(ProviderRefused) as found:
        await ours(server)
    assert found.value.retry_after == reference._parse_retry_after_header(httpx2.Headers(headers))


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            {"error": {"code": "DeploymentNotFound", "message": "No such deployment."}},
            "No such deployment.",
            "DeploymentNotFound",
        ),
        ({"statusCode": 401, "message": "Access denied."}, "Access denied.", ""),
        ({"error": {"code": 429, "message": "Slow down."}}, "Slow down.", "429"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "Overloaded", ""),
        ({"object": "error", "message": "Too long.", "type": "BadRequestError", "code": 400}, "Too long.", "400"),
        ({"error": "model 'x' not found"}, "model 'x' not found", ""),
        ([{"error": {"code": 400, "message": "API key not valid.", "status": "X"}}], "API key not valid.", "400"),
        ({"detail": "Not Found"}, "Not Found", ""),
        ({"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, "Field required", ""),
        (b"upstream connect error", "upstream connect error", ""),
        (b"<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway", ""),
        (b"", "no message", ""),
        (b"null", "null", ""),
        (b"\xff\xfe", "HTTP 500", ""),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict | list | bytes) else "",
)
async def test_an_error_body_of_any_maker_gives_its_message(
    server: RawServer, body: Any, message: str, code: str
) -> None:
    server.answer(http(body, status=500))
    with pytest.raises(ProviderRefused) as found:
        await ours(server)
    assert message in found.value.message
    assert found.value.code == code


@pytest.mark.parametrize("whole", [False, True], ids=["that stalls", "that breaks off"])
async def test_an_error_whose_body_is_not_whole_keeps_its_status_and_headers(server: RawServer, *, whole: bool) -> None:
    head = b"HTTP/1.1 429 X\r\nContent-Length: 500\r\nRetry-After: 3\r\n\r\n{"
    server.answer(raw(head, pause_s=0 if whole else 30))
    provider = create("openai", ProviderSettings(base_url=server.url, api_key=KEY, request_timeout=2))
    request = ChatRequest(provider="openai", model="m", messages=(Message(role="user", content=PROMPT),))
    with pytest.raises(ProviderRefused) as error:
        await provider.chat(request)
    await provider.close()
    assert (error.value.status, error.value.retry_after) == (429, 3)


async def test_limits_in_the_headers_reach_replies_and_errors(server: RawServer) -> None:
    headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499"}
    server.answer(http(CHAT, headers=headers), http({"error": {}}, status=429, headers=headers))
    reply = await ours(server)
    with pytest.raises(ProviderRefused) as error:
        await ours(server)
    assert [hint.limit for hint in reply.limits] == [hint.limit for hint in error.value.limits] == [500]


async def test_tokens_that_a_server_does_not_count_are_estimated(server: RawServer) -> None:
    server.answer(http({**CHAT, "usage": None}))
    reply = await ours(server)
    assert reply.usage.prompt > 5
    assert reply.usage.completion > 0


async def test_a_text_that_no_json_can_hold_fails_before_it_is_sent(server: RawServer) -> None:
    server.answer(http(CHAT))
    with pytest.raises(ProviderRefused) as error:
        await ours(server, messages=(Message(role="user", content="\ud800"),))
    assert error.value.status == 400
    assert server.seen == []


@pytest.mark.parametrize("style", ["json_object", "prompt"])
async def test_a_server_without_schemas_gets_the_schema_in_words(server: RawServer, style: str) -> None:
    fenced = [{"message": {"content": '```json\n{"a": "b"}\n```'}, "finish_reason": "stop"}]
    server.answer(http({**CHAT, "choices": fenced}))
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    settings = ProviderSettings.model_validate({"base_url": server.url, "structured_output": style})
    provider = create("openai", settings)
    request = ChatRequest(
        provider="openai",
        model="m",
        messages=(Message(role="system", content="Be brief."), Message(role="user", content=PROMPT)),
        schema=ResponseSchema(name="answer", json=schema),
    )
    reply = await provider.chat(request)
    await provider.close()
    sent = server.seen[0].json
    assert orjson.loads(reply.text) == {"a": "b"}
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert orjson.dumps(schema).decode() in sent["messages"][0]["content"]
    assert sent.get("response_format") == ({"type": "json_object"} if style == "json_object" else None)
    assert "authorization" not in server.seen[0].headers
