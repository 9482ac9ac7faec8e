"""Celery's consumer, for which a message that nobody can read is no reason to end.

Celery 5.7 takes some of them (a body that is JSON `null`, headers that are no text) for errors of its own and ends the
process; the next worker gets the same message. Junk that kombu cannot read is gone once it was taken off the list.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

log = logging.getLogger(__name__)


class GuardedConsumer(Consumer):
    """Refuses what it cannot handle, and goes on."""

    connection_errors: tuple[type[Exception], ...]  # Celery sets these, its type stubs don't tell
    channel_errors: tuple[type[Exception], ...]
    loop: Callable[..., None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loop = self._guarded(self.loop)

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
