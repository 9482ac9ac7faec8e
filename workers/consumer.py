"""Celery's consumer, for which a message that nobody can read is no reason to end.

Celery 5.7 takes some of them (a body that is JSON `null`, headers that are no text) for errors of its own and ends the
process; the next worker gets the same message. Junk that kombu cannot read is gone once it was taken off the list.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer

log = logging.getLogger(__name__)

_EVENTS_EVERY_S = 0.5  # Flower shows a chunk that much later


class GuardedConsumer(Consumer):
    """Refuses what it cannot handle, and goes on."""

    connection_errors: tuple[type[Exception], ...]  # Celery sets these, its type stubs don't tell
    channel_errors: tuple[type[Exception], ...]
    loop: Callable[..., None]
    _flush_events: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loop = self._guarded(self.loop)

    def register_with_event_loop(self, hub: Any) -> None:
        """Celery's timers, and one that sends the events gathered meanwhile."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_EVENTS_EVERY_S, self._flush_events)

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # its type stubs take it for an attribute
        """Nothing: the timer sends them. Celery's own wakes its loop for each, and publishes after each."""

    def stop(self) -> None:
        """Sends the last events, and ends."""
        with suppress(*self.connection_errors, *self.channel_errors):
            self._flush_events()
        super().stop()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Celery's handler; whatever it stumbles over is refused for good."""
        handle = super().create_task_handler(*args, **kwargs)

        def guarded(message: Any) -> None:
            try:
                handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception:
                log.exception("a message that is no task was refused")
                message.reject_log_error(log, self.connection_errors)

        return guarded

    def _guarded(self, loop: Callable[..., None]) -> Callable[..., None]:
        def guarded(*args: Any) -> None:
            try:
                loop(*args)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as exc:
                log.exception("unreadable words from the broker, connecting anew")
                raise ConnectionResetError("the broker's words could not be read") from exc

        return guarded
