"""Whatever a server does to a call, it ends soon and as one of our errors."""

import asyncio
import gzip
import resource
import time
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import pytest

from core.errors import MalformedAnswer, ProviderRefused, ProviderTimeout, ProviderUnreachable
from core.ports import Provider
from core.providers import create
from core.settings import ProviderSettings
from tests.contract.raw_http import RawServer, http, raw, raw_server
from tests.contract.replies import KEY, a_request, chat_body, failure, message


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html><body>Welcome</body></html>", id="html"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{} trailing", id="trailing text"),
        pytest.param(orjson.dumps(chat_body())[:-20], id="cut JSON in a whole body"),
        pytest.param(orjson.dumps({"error": {"message": "overloaded", "code": 503}}), id="an error with status 200"),
        pytest.param(orjson.dumps(chat_body(choices=[])), id="empty choices"),
        pytest.param(orjson.dumps(chat_body(choices=None)), id="null choices"),
        pytest.param(orjson.dumps({"id": "x"}), id="no choices"),
        pytest.param(orjson.dumps(chat_body(choices=["text"])), id="a choice that is no object"),
        pytest.param(orjson.dumps(chat_body(choices=[{"index": 0}])), id="a choice without a message"),
        pytest.param(orjson.dumps(chat_body(choices=message(content=None))), id="null content"),
        pytest.param(orjson.dumps(chat_body(choices=message())), id="no content"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"\xff\xfe\x00", id="bytes that are no text"),
    ],
)
async def test_an_answer_with_status_200_that_is_none_is_malformed(
    server: RawServer, provider_of: Callable[..., Provider], body: bytes
) -> None:
    server.answer(http(body))
    assert isinstance(await failure(provider_of()), MalformedAnswer)


async def test_a_malformed_answer_keeps_the_tokens_that_were_billed(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(http(chat_body(choices=[])))
    error = await failure(provider_of())
    assert error.usage is not None
    assert (error.usage.prompt, error.usage.completion) == (12, 3)


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param(message(content=None, refusal="I cannot help with that."), id="refusal"),
        pytest.param([{"message": {"content": ""}, "finish_reason": "content_filter"}], id="content filter"),
        pytest.param(
            [{"message": {"content": "half an ans"}, "finish_reason": "content_filter"}], id="filtered midway"
        ),
        pytest.param([{"message": {"content": None}, "finish_reason": "content_filter"}], id="filtered and null"),
    ],
)
async def test_a_refusal_is_a_content_filter_with_its_usage(
    server: RawServer, provider_of: Callable[..., Provider], choices: list[Any]
) -> None:
    server.answer(http(chat_body(choices=choices)))
    error = await failure(provider_of())
    assert isinstance(error, ProviderRefused)
    assert error.code == "content_filter"
    assert error.usage is not None
    assert error.usage.total == 15


async def test_a_body_that_ends_early_is_a_broken_connection(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + orjson.dumps(chat_body())[:100]))
    assert isinstance(await failure(provider_of()), ProviderUnreachable)


async def test_a_chunked_body_that_ends_early_is_a_broken_connection(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n'))
    assert isinstance(await failure(provider_of()), ProviderUnreachable)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"])
async def test_a_reset_connection_is_unreachable(
    server: RawServer, provider_of: Callable[..., Provider], head: bytes
) -> None:
    server.answer(raw(head, reset=True))
    assert isinstance(await failure(provider_of()), ProviderUnreachable)


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    async with raw_server() as gone:
        url = gone.url
    provider = create("openai", ProviderSettings(base_url=url, api_key=KEY))
    assert isinstance(await failure(provider), ProviderUnreachable)
    await provider.close()


@pytest.mark.parametrize(
    "head", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b"HTTP/9 x\r\n\r\n"]
)
async def test_a_server_that_does_not_speak_http_gives_one_of_our_errors(
    server: RawServer, provider_of: Callable[..., Provider], head: bytes
) -> None:
    server.answer(raw(head))
    assert isinstance(await failure(provider_of()), MalformedAnswer | ProviderUnreachable)


async def test_an_answer_that_never_comes_ends_at_the_deadline(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(raw(b"", pause_s=30))
    started = time.monotonic()
    error = await failure(provider_of(request_timeout=0.3))
    assert isinstance(error, ProviderTimeout)
    assert time.monotonic() - started < 10
    assert 250 <= error.latency_ms < 10_000


async def test_a_body_that_trickles_ends_at_the_deadline(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", *[b" "] * 200, pause_s=0.05))
    started = time.monotonic()
    assert isinstance(await failure(provider_of(request_timeout=0.4)), ProviderTimeout)
    assert time.monotonic() - started < 8  # the whole would take ten


@pytest.mark.parametrize("framing", ["length", "chunked", "until close", "gzip"])
async def test_a_huge_body_is_not_read_beyond_the_cap(
    server: RawServer, provider_of: Callable[..., Provider], framing: str
) -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        size = 200 * 1024 * 1024
        head = {
            "length": f"Content-Length: {size}",
            "chunked": "Transfer-Encoding: chunked",
            "until close": "Connection: close",
            "gzip": "Content-Encoding: gzip\r\nConnection: close",
        }[framing]
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        block = b" " * 1024 * 1024
        if framing == "gzip":
            block = gzip.compress(b" " * 64 * 1024 * 1024)
        elif framing == "chunked":
            block = b"100000\r\n" + block + b"\r\n"
        while sent < size:
            writer.write(block)
            await writer.drain()
            sent += len(block)
        writer.close()

    server.answer(flood)
    error = await failure(provider_of())
    assert isinstance(error, MalformedAnswer)
    assert "larger than" in error.message
    assert sent < 40 * 1024 * 1024
    assert len(error.body) <= 2000


async def test_a_redirect_is_refused_and_the_prompt_goes_nowhere_else(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    async with raw_server() as other:
        other.answer(http(chat_body()))
        server.answer(http(b"", status=307, headers={"Location": f"{other.url}/chat/completions"}))
        error = await failure(provider_of())
        assert isinstance(error, ProviderRefused)
        assert error.status == 307
        assert other.seen == []


async def test_proxies_of_the_environment_are_not_used(
    server: RawServer, provider_of: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answer(http(chat_body()))
    assert (await provider_of().chat(a_request())).text == "hello"


async def test_a_compressed_answer_is_read(server: RawServer, provider_of: Callable[..., Provider]) -> None:
    server.answer(http(gzip.compress(orjson.dumps(chat_body())), headers={"Content-Encoding": "gzip"}))
    assert (await provider_of().chat(a_request())).text == "hello"


async def test_a_body_that_is_not_what_its_encoding_says_is_one_of_our_errors(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(http(orjson.dumps(chat_body()), headers={"Content-Encoding": "gzip"}))
    assert isinstance(await failure(provider_of()), MalformedAnswer | ProviderUnreachable)


async def test_connections_are_kept_and_reused(server: RawServer, provider_of: Callable[..., Provider]) -> None:
    server.answer(http(chat_body()))
    provider = provider_of()
    for _ in range(5):
        await provider.chat(a_request())
    assert server.connections == 1


async def test_no_more_connections_are_opened_than_calls_are_allowed_at_once(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(http(chat_body()))
    provider = provider_of(max_concurrent_requests=3)
    await asyncio.gather(*(provider.chat(a_request()) for _ in range(12)))
    assert server.connections <= 3
    assert len(server.seen) == 12


def test_one_provider_serves_several_event_loops_one_after_the_other() -> None:
    async def one_call(provider: Provider) -> str:
        text = (await provider.chat(a_request())).text
        await provider.close()
        return text

    async def with_server() -> str:
        async with raw_server() as server:
            server.answer(http(chat_body()))
            chosen = ProviderSettings(base_url=server.url, api_key=KEY)
            provider = create("openai", chosen)
            first = await one_call(provider)
            second = await asyncio.to_thread(asyncio.run, one_call(provider))
            return first + second

    assert asyncio.run(with_server()) == "hellohello"


async def test_content_in_parts_is_read_as_one_text(server: RawServer, provider_of: Callable[..., Provider]) -> None:
    parts = [{"type": "text", "text": "hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]
    server.answer(http(chat_body(choices=message(content=parts))))
    assert (await provider_of().chat(a_request())).text == "hello"


@cache
def _gigabyte(encoding: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    block = b"a" * 2**20
    return b"".join([packer.compress(b'{"x":"'), *(packer.compress(block) for _ in range(1024)), packer.flush()])


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_small_reply_that_unpacks_to_a_gigabyte_is_cut_off_at_the_cap(
    server: RawServer, provider_of: Callable[..., Provider], status: int, encoding: str
) -> None:
    bomb = _gigabyte(encoding)
    server.answer(http(bomb, status=status, headers={"Content-Encoding": encoding}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = await failure(provider_of())
    assert len(bomb) < 2**21
    assert isinstance(error, MalformedAnswer if status == 200 else ProviderRefused)
    assert len(error.body) <= 2000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kB


@pytest.mark.parametrize("levels", [101, 254, 1000, 1022, 100_000])
@pytest.mark.parametrize("bracket", [b"[]", b'{"a":}'])
@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_that_is_nested_too_deep_is_malformed(
    server: RawServer, provider_of: Callable[..., Provider], levels: int, bracket: bytes, status: int
) -> None:
    deep = bracket[:-1] * levels + b"1" + bracket[-1:] * levels
    decoy = orjson.dumps("]}" * levels)  # brackets in strings are none
    server.answer(http(b'{"y":' + decoy + b',"error":{"message":' + deep + b"}}", status=status))
    error = await failure(provider_of())
    assert isinstance(error, MalformedAnswer if status == 200 else ProviderRefused)


async def test_brackets_inside_of_strings_do_not_count_as_levels(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    text = "[" * 500
    server.answer(http(chat_body(choices=message(content=text))))
    assert (await provider_of().chat(a_request())).text == text
