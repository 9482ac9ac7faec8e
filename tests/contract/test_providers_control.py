"""What a provider's list of models says of the longest text, asked by the openai package."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.providers.control import longest_input
from core.settings import ProviderSettings
from tests.contract.raw_http import RawServer, http, raw_server


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as running:
        yield running


def models(**told: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "own-1", "object": "model", "created": 1, "owned_by": "me", **told}]}


@pytest.mark.parametrize("name", ["max_model_len", "max_context_length", "context_length"])
async def test_servers_of_ones_own_tell_their_longest_text(server: RawServer, name: str) -> None:
    server.answer(http(models(**{name: 512})))

    assert await longest_input("openai", ProviderSettings(base_url=server.url), "own-1") == 512


@pytest.mark.parametrize(
    "reply",
    [
        http(models()),
        http(models(max_model_len="many")),
        http({"object": "list", "data": None}),
        http(b"<html>"),
        http({}, 404),
        http({}, 500),
        http({}, 307, {"Location": "http://127.0.0.1:9/"}),
    ],
)
async def test_a_server_that_does_not_say_is_no_failure(server: RawServer, reply: Any) -> None:
    server.answer(reply)

    assert await longest_input("openai", ProviderSettings(base_url=server.url), "own-1") is None


async def test_a_server_that_is_away_is_no_failure_and_openais_limits_are_known() -> None:
    away = ProviderSettings(base_url="http://127.0.0.1:9/v1")

    assert await longest_input("openai", away, "own-1") is None
    assert await longest_input("openai", away, "text-embedding-3-large") == 8192
    assert await longest_input("azure", away, "text-embedding-3-small") == 8192


async def test_a_local_directory_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.mkdir()
    (path / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    (path / "config.json").write_text("{}")

    assert await longest_input("local", ProviderSettings(model_path=path), "small") == 256
    assert await longest_input("local", ProviderSettings(model_path=path), "other") is None
