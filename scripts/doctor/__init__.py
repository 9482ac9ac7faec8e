"""`sweep doctor`: what works here, what does not, and what to do about it."""

from collections.abc import Iterator

from core.settings import Settings
from scripts.doctor.check import Check, State
from scripts.doctor.machine import check_machine
from scripts.doctor.providers import check_providers
from scripts.doctor.routing import check_routing
from scripts.doctor.servers import check_reachable, check_servers

__all__ = ["Check", "State", "examine"]


def examine(loaded: Settings, *, migrate: bool = False, quick: bool = False) -> Iterator[Check]:
    """All checks, each as soon as it is done. ``migrate``: brings the database up to date on the way.

    ``quick``: only whether the servers answer and the tables are there; nothing is started for it.
    """
    if quick:
        yield from check_reachable(loaded, migrate=migrate)
        return
    yield from check_machine()
    yield from check_servers(loaded, migrate=migrate)
    yield from check_providers(loaded)
    yield from check_routing()
