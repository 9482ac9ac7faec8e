"""Clears up behind dead workers: gives out their chunks, and books the calls that they left in flight.

What the cache still knows of those is booked as it was, the rest as ``unknown``.
"""

import logging
from collections.abc import Mapping

from core.errors import CacheUnavailable
from core.model import CallRecord
from core.ports import Intent
from core.settings import PREFIXES, RULES
from db.feed import Feed
from workers.owner import is_gone
from workers.runtime import Runtime

log = logging.getLogger(__name__)

_FORGOTTEN_S = 900.0  # longer than any call: whoever made it, it has ended


class Reaper:
    """Run by the feeder's leader."""

    def __init__(self, runtime: Runtime, feed: Feed, *, older_than_s: float) -> None:
        self._runtime = runtime
        self._feed = feed
        self._older_than_s = older_than_s

    def turn(self) -> None:
        """Looks at all owners and intents once. Raises Unavailable; the next turn does what is left."""
        leasing = self._feed.live_owners()
        gone = {owner for owner in leasing if is_gone(owner)}
        if gone:
            released = self._feed.release(sorted(gone))
            log.warning("chunks of killed workers given out again", extra={"chunks": released})
        for provider in (*PREFIXES, RULES):
            self._book(provider, leasing - gone)

    def _book(self, provider: str, live: frozenset[str]) -> None:
        intents = self._runtime.call(self._runtime.gate.intents(provider))
        gone = {owner for owner in {intent.ask.owner for intent in intents} if is_gone(owner)}
        dead = [intent for intent in intents if intent.ask.owner in gone or self._is_forgotten(intent, live)]
        if dead:
            ids = [intent.ask.call_id for intent in dead]
            booked = self._feed.book_unknown(dead, self._records(ids))
            self._runtime.call(self._runtime.gate.forget(provider, ids))
            log.warning("calls of dead workers booked", extra={"provider": provider, "calls": booked})

    def _is_forgotten(self, intent: Intent, live: frozenset[str]) -> bool:
        """By the clock, where nobody can know: its worker holds no lease any more, or no call takes so long."""
        lapsed = intent.age_s > self._older_than_s and intent.ask.owner not in live
        return lapsed or intent.age_s > _FORGOTTEN_S

    def _records(self, ids: list[int]) -> Mapping[int, CallRecord]:
        try:
            return self._runtime.call(self._runtime.cache.calls(ids))
        except CacheUnavailable:
            return {}
