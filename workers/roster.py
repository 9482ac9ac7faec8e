"""Who works on which queue right now, as the workers tell it themselves."""

from collections.abc import Iterable

from celery import Celery

from tasks.app import queue_name

_PATIENCE_S = 0.7  # those that are there answer within a few milliseconds


def served(broker_url: str, providers: Iterable[str]) -> list[str]:
    """Those of the providers whose queue has a worker already."""
    # An app of its own: the shared one keeps the address that it is first used with.
    with Celery("roster", broker=broker_url) as app:
        told = app.control.inspect(timeout=_PATIENCE_S).active_queues() or {}
    queues = {queue["name"] for worker in told.values() for queue in worker}
    return [provider for provider in providers if queue_name(provider) in queues]
