"""Connections to PostgreSQL that fall silent without being closed."""

import threading
import time

import psycopg2.extensions
import pytest

from core.errors import LedgerUnavailable
from db.engine import dial, translated
from db.overdue import answered_within
from scripts.bench.faults.proxy import proxied


def test_an_answer_that_never_comes_is_given_up_and_a_new_connection_works(database_url: str) -> None:
    with proxied(database_url) as (link, address):
        connection = dial(address)
        link.deafen()
        began = time.monotonic()

        with pytest.raises(LedgerUnavailable):
            _sleep(connection, 0, patience_s=1)

        assert time.monotonic() - began < 30
        assert connection.closed
        again = dial(address)
        _sleep(again, 0, patience_s=30)
        again.close()


def test_who_is_answered_in_time_is_left_alone_and_each_one_waits_for_himself(database_url: str) -> None:
    done: list[str] = []

    def ask(seconds: float, patience_s: float) -> None:
        connection = dial(database_url)
        try:
            _sleep(connection, seconds, patience_s=patience_s)
            done.append("answered")
        except LedgerUnavailable:
            done.append("given up")
        connection.close()

    threads = [threading.Thread(target=ask, args=(5, patience_s)) for patience_s in (1, 60, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert done == ["given up", "answered", "answered"]


def _sleep(connection: psycopg2.extensions.connection, seconds: float, *, patience_s: float) -> None:
    with translated(), answered_within(connection, patience_s), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", (seconds,))
