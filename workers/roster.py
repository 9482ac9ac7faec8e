"""Who works on which queue right now, as the workers tell it themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from core.errors import Unavailable
from core.settings import settings
from tasks.app import queue_name

_PATIENCE_S = (0.7, 1.5)  # those that are there answer within milliseconds; on a busy machine, when asked again


def served(broker_url: str, providers: Iterable[str]) -> list[str]:
    """Those of the providers whose queue has a worker already."""
    # An app of its own: the shared one keeps the address that it is first used with.
    with Celery("roster", broker=broker_url) as app:
        told = _heard(app, "active_queues")
    queues = {queue["name"] for worker in told.values() for queue in worker}
    return [provider for provider in providers if queue_name(provider) in queues]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A worker process: chunks in work at once, and whose queues it serves."""

    host: str
    slots: int
    providers: frozenset[str]


def fleet(broker_url: str, providers: Iterable[str]) -> list[Running]:
    """The workers of these providers' queues. Raises Unavailable when the broker is away."""
    names = {queue_name(provider): provider for provider in providers}
    try:
        with Celery("roster", broker=broker_url) as app:
            queues = _heard(app, "active_queues")
            stats = _heard(app, "stats") if queues else {}
    except (OperationalError, OSError) as exc:
        raise Unavailable(f"the broker is away: {exc}") from exc
    found = [
        Running(
            host=worker.rpartition("@")[2],
            slots=int(stats.get(worker, {}).get("pool", {}).get("max-concurrency", 0)) or settings().worker_slots,
            providers=frozenset(names[queue["name"]] for queue in told if queue["name"] in names),
        )
        for worker, told in sorted(queues.items())
    ]
    return [worker for worker in found if worker.providers]


def _heard(app: Celery, question: str) -> dict[str, Any]:
    """What each worker answers; asked a second time when nobody has answered."""
    for patience_s in _PATIENCE_S:
        told: dict[str, Any] | None = getattr(app.control.inspect(timeout=patience_s), question)()
        if told:
            return told
    return {}
