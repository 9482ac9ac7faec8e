"""Providers against a server that says what the test wants, on the event loop that the workers run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop

from core.ports import Provider
from core.providers import create
from core.settings import ProviderSettings
from tests.contract.raw_http import RawServer, raw_server
from tests.contract.replies import KEY


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name.startswith("test_providers"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as found:
        yield found


@pytest.fixture
async def provider_of(server: RawServer) -> AsyncIterator[Callable[..., Provider]]:
    made: list[Provider] = []

    def make(**settings: Any) -> Provider:
        given = {"base_url": server.url, "api_key": KEY, "request_timeout": 5} | settings
        chosen = ProviderSettings.model_validate(given)
        made.append(create("openai", chosen))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()
