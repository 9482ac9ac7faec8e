"""The feeder: the sole producer of chunk messages, and what makes a lost message or a dead worker harmless.

Every worker runs one in a thread; a PostgreSQL advisory lock lets one of them work. PostgreSQL says what is to be
done, the broker only carries it: a message that is gone is published again, one too many finds its chunk leased.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from core.errors import Unavailable
from db.feed import Feed, Published
from tasks.app import queue_name
from tasks.chunk import task_name

log = logging.getLogger(__name__)

DEPTH = 256  # chunks published and not yet leased, a provider; what keeps Redis small whatever the sweep's size
_LOST_AFTER_S = 5.0
_CHORE_EVERY_S = 2.0
_GRACE_S = 2.0  # after an absence of the ledger: workers that have lived through it renew their leases first
_EXPECTED = (Unavailable, OperationalError, OSError)
_BUSY_S, _IDLE_S, _AWAY_S = 0.2, 1.0, 1.0


class Feeder:
    """Feeds all queues from one thread until stopped. ``chore``: what else the leader does, every few seconds."""

    def __init__(self, app: Celery, feed: Feed, *, chore: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._feed = feed
        self._chore = chore
        self._chore_due = 0.0
        self._leading_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and gives up the lead."""
        self._stop.set()
        self._thread.join(timeout=5)
        self._feed.close()

    def turn(self) -> int:
        """One round of work if this process leads; returns the number of messages published."""
        if not self._feed.lead():
            self._leading_since = None
            return 0
        self._leading_since = self._leading_since or time.monotonic()
        if time.monotonic() - self._leading_since >= _GRACE_S:
            self._clear_away()
        closed = self._feed.close_sweeps()
        if closed:
            log.info("sweeps closed", extra={"sweeps": closed})
        return sum(self._fill(provider) for provider in self._feed.providers())

    def _clear_away(self) -> None:
        """What the dead have left behind."""
        lapsed = self._feed.requeue_lapsed()
        if lapsed:
            log.warning("chunks of a dead or stalled worker given out again", extra={"chunks": lapsed})
        if time.monotonic() >= self._chore_due:
            self._chore_due = time.monotonic() + _CHORE_EVERY_S
            try:
                self._chore()
            except Exception as exc:  # the boundary of a chore: what it stumbles over must not starve the queues
                log.warning("a chore waits", extra={"error": str(exc)}, exc_info=not isinstance(exc, _EXPECTED))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                busy = self.turn()
                self._feed.wait(_BUSY_S if busy else _IDLE_S)
            except Exception as exc:
                self._leading_since = None
                log.warning("feeding waits", extra={"error": str(exc)}, exc_info=not isinstance(exc, _EXPECTED))
                self._stop.wait(_AWAY_S)

    def _fill(self, provider: str) -> int:
        queued = self._feed.queued(provider)
        if queued and self._is_empty(provider):
            lost = self._feed.requeue_lost(provider, _LOST_AFTER_S)
            if lost:
                log.warning("messages vanished from the broker", extra={"provider": provider, "chunks": lost})
                queued -= lost
        chunks = self._feed.take(provider, DEPTH - queued) if queued < DEPTH else []
        if chunks:
            publish(self._app, provider, chunks)
            log.debug("published", extra={"provider": provider, "sweeps": dict(Counter(c.sweep_name for c in chunks))})
        return len(chunks)

    def _is_empty(self, provider: str) -> bool:
        with self._app.connection_for_read() as connection:
            queue = self._app.amqp.queues[queue_name(provider)].bind(connection.default_channel)
            declared: Any = queue.queue_declare()
        return bool(declared.message_count == 0)


def publish(app: Celery, provider: str, chunks: Sequence[Published]) -> None:
    """One message a chunk. One too many does no harm: the ledger's lease decides who works."""
    queue = queue_name(provider)
    # kombu 5.7 sends a batch in one round trip; its type stubs are older than that.
    pool: Any = app.producer_pool
    with pool.acquire(block=True) as producer, producer.batch(DEPTH):
        for chunk in chunks:
            app.send_task(
                task_name(chunk.kind),
                args=(chunk.ref.sweep_id, chunk.ref.no),
                queue=queue,
                argsrepr=f"({chunk.sweep_name}, chunk {chunk.ref.no})",
                kwargsrepr="",
                producer=producer,
            )
