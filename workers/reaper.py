"""Books the calls that dead workers left in flight: what the cache still knows as it was, the rest as ``unknown``."""

import logging
from collections.abc import Mapping

from core.errors import CacheUnavailable
from core.model import CallRecord
from core.settings import PREFIXES
from db.feed import Feed
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
        """Looks at every provider's intents once. Raises Unavailable; the next turn does what is left."""
        live: frozenset[str] | None = None
        for provider in PREFIXES:
            old = [
                intent
                for intent in self._runtime.call(self._runtime.gate.intents(provider))
                if intent.age_s > self._older_than_s
            ]
            if not old:
                continue
            live = self._feed.live_owners() if live is None else live
            dead = [i for i in old if i.ask.owner not in live or i.age_s > _FORGOTTEN_S]
            if dead:
                ids = [intent.ask.call_id for intent in dead]
                booked = self._feed.book_unknown(dead, self._records(ids))
                self._runtime.call(self._runtime.gate.forget(provider, ids))
                log.warning("calls of dead workers booked", extra={"provider": provider, "calls": booked})

    def _records(self, ids: list[int]) -> Mapping[int, CallRecord]:
        try:
            return self._runtime.call(self._runtime.cache.calls(ids))
        except CacheUnavailable:
            return {}
