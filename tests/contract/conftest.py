"""Both ledgers for the ledger's tests; the event loop that the workers run on for the providers'."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.ledgers import MemoryWorld, PostgresWorld, World


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name.startswith("test_providers"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A ledger of each kind, one after the other."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    real = PostgresWorld(request.getfixturevalue("database_url"))
    yield real
    await real.close()
