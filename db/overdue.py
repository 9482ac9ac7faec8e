"""Answers that never come: a connection whose peer went away without a word waits for ever, as TCP sees it.

PostgreSQL's own timeouts run on its side, and keepalives are answered by whatever stands between (a proxy, a pooler).
So whoever waits is watched, and when the time is up the socket is shut: libpq then reports a lost connection.
"""

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2
import psycopg2.extensions

_LOOK_EVERY_S = 1.0

_waiting: dict[int, tuple[float, psycopg2.extensions.connection]] = {}
_numbers = itertools.count()
_watch = threading.Lock()
_watching = False


@contextmanager
def answered_within(connection: psycopg2.extensions.connection, seconds: float) -> Iterator[None]:
    """Inside the block, the connection is cut after so many seconds; 0: never."""
    if not seconds:
        yield
        return
    _start()
    number = next(_numbers)
    _waiting[number] = (time.monotonic() + seconds, connection)
    try:
        yield
    finally:
        _waiting.pop(number, None)


def _start() -> None:
    global _watching  # noqa: PLW0603 - one thread a process, however many engines
    if _watching:
        return
    with _watch:
        if not _watching:
            threading.Thread(target=_look, name="overdue", daemon=True).start()
            _watching = True


def _look() -> None:
    pause = threading.Event()
    while not pause.wait(_LOOK_EVERY_S):
        now = time.monotonic()
        for number, (until, connection) in list(_waiting.items()):
            if now >= until and _waiting.pop(number, None) is not None:
                _cut(connection)


def _cut(connection: psycopg2.extensions.connection) -> None:
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)
