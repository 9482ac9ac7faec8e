"""A migrated database's engine, and its feed."""

from collections.abc import Iterator

import pytest
import sqlalchemy

from db.engine import connect
from db.feed import Feed


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    opened = connect(database_url, pool=8)
    yield opened
    opened.dispose()


@pytest.fixture
def feed(database_url: str) -> Iterator[Feed]:
    opened = Feed(database_url)
    yield opened
    opened.close()
