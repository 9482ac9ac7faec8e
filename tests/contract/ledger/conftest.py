"""Both ledgers for the ledger's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.ledgers import MemoryWorld, PostgresWorld, World


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A ledger of each kind, one after the other."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    real = PostgresWorld(request.getfixturevalue("database_url"))
    yield real
    await real.close()
