"""A key that was planted in the settings comes out nowhere but in the request's header."""

import logging
import traceback
from typing import Any

import pytest

from core.errors import ProviderError
from core.model import ChatRequest, Message
from core.providers import create
from core.settings import ProviderSettings
from tests.contract.raw_http import Reply, http, raw, raw_server

KEY = "sk-planted-0123456789abcdef"
REQUEST = ChatRequest(provider="openai", model="m", messages=(Message(role="user", content="Say hello."),))


def everything(error: BaseException) -> str:
    """All that a log line, a row or a debugger could show of an error and of what caused it."""
    shown = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        shown += [repr(seen), str(seen), repr(getattr(seen, "__dict__", "")), repr(seen.args)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)


@pytest.mark.parametrize("name", ["openai", "azure", "anthropic", "hyperbolic"])
@pytest.mark.parametrize(
    "reply",
    [
        http({"error": {"message": f"Incorrect API key provided: {KEY}", "code": KEY, "type": KEY}}, status=401),
        http(f"<html>Bearer {KEY}</html>".encode(), status=500, headers={"x-request-id": "1"}),
        http(b"x" * 1990 + KEY.encode(), status=500),
        http(b"x" * 7990 + KEY.encode(), status=200),
        http({"error": f"bad key {KEY}"}),
        http({"choices": [], "echo": KEY}),
        http({"choices": [{"message": {"refusal": f"no, {KEY}"}}]}),
        http(KEY.encode()),
        raw(f"HTTP/1.1 200 {KEY}\r\n{KEY}\r\n\r\n".encode()),
        raw(b"", reset=True),
        raw(f"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{KEY}".encode()),
    ],
    ids=[
        "401",
        "html 500",
        "cut 500",
        "cut 200",
        "error 200",
        "no choices",
        "refusal",
        "text",
        "no http",
        "reset",
        "broken",
    ],
)
async def test_no_error_log_line_or_repr_holds_the_key(
    name: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with raw_server() as server:
        server.answer(reply)
        settings = ProviderSettings.model_validate(
            {"base_url": server.url, "endpoint": server.url, "api_key": KEY, "request_timeout": 5}
        )
        provider = create(name, settings)
        with pytest.raises(ProviderError) as caught:
            await provider.chat(REQUEST)
        await provider.close()
        assert any(KEY in value for value in server.seen[0].headers.values())
    parts: list[Any] = [provider, vars(provider), *map(vars, (provider._transport,))]  # type: ignore[attr-defined]  # the concrete one
    assert KEY not in everything(caught.value)
    assert KEY not in caplog.text
    assert KEY not in "".join(map(repr, parts))


def test_settings_do_not_show_the_key() -> None:
    settings = ProviderSettings.model_validate({"api_key": KEY})
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()


@pytest.mark.parametrize("key", [KEY, "c2VjcmV0/a+b/0123456789=="])
async def test_an_answer_that_echoes_the_key_is_kept_without_it(key: str) -> None:
    async with raw_server() as server:
        body = {"choices": [{"message": {"content": f"your key is {key}"}, "finish_reason": "stop"}], "echo": key}
        server.answer(http(body, headers={"x-request-id": key}))
        provider = create("openai", ProviderSettings.model_validate({"base_url": server.url, "api_key": key}))
        reply = await provider.chat(REQUEST)
        await provider.close()
    assert reply.text == "your key is [key]"
    assert key not in repr(reply)


async def test_a_placeholder_for_a_key_is_a_word_like_others_in_an_answer() -> None:
    async with raw_server() as server:
        server.answer(http({"choices": [{"message": {"content": "lm-studio"}, "finish_reason": "stop"}]}))
        provider = create("openai", ProviderSettings.model_validate({"base_url": server.url, "api_key": "lm-studio"}))
        reply = await provider.chat(REQUEST)
        await provider.close()
    assert reply.text == "lm-studio"


async def test_a_key_whose_slashes_the_provider_escapes_and_one_in_a_header_are_cut_out_of_the_error() -> None:
    key = "c2VjcmV0/a+b/0123456789=="
    escaped = key.replace("/", "\\/")
    async with raw_server() as server:
        body = f'{{"error": {{"message": "bad {escaped}", "code": "{escaped}"}}}}'.encode()
        server.answer(http(body, status=401, headers={"x-request-id": key, "retry-after": key}))
        provider = create("openai", ProviderSettings.model_validate({"base_url": server.url, "api_key": key}))
        with pytest.raises(ProviderError) as caught:
            await provider.chat(REQUEST)
        await provider.close()
    shown = everything(caught.value)
    assert key not in shown
    assert escaped not in shown
