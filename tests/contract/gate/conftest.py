"""Gates of all kinds for the gate's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.gates import KINDS, World, world_of


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A gate of each kind, one after the other."""
    async for made in world_of(request):
        yield made
