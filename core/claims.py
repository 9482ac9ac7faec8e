"""Who calls for an answer: look it up, claim it, wait for whoever is calling, give it up."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from core.errors import CacheUnavailable
from core.heartbeat import Hold, Stop
from core.judging import Item
from core.model import Answer, CallRecord
from core.ports import Cache, Claim, Clock, Follow, Lead, Ledger, SingleFlight
from core.together import patiently

T = TypeVar("T")

log = logging.getLogger(__name__)


class CacheAndFlights(Cache, SingleFlight, Protocol):
    """One server holds the answers and says who calls for a missing one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """A chunk's dealings with the cache and the single flight."""

    cache: CacheAndFlights
    ledger: Ledger
    clock: Clock
    owner: str
    hold: Hold

    async def lookup(self, items: Sequence[Item]) -> dict[str, Answer]:
        """Answers that are there already, by fingerprint: in the cache, or as rows."""
        if not items:
            return {}
        prints = [item.fingerprint for item in items]
        try:
            hits = dict(await self.cache.get(prints))
        except CacheUnavailable as exc:
            log.warning("cache away, looking in the ledger only", extra={"error": str(exc)})
            hits = {}
        missing = [print_ for print_ in prints if print_ not in hits]
        if missing:
            modality = items[0].request.modality
            hits |= await self._patiently(lambda: self.ledger.find(missing, modality))
        return hits

    async def claim(self, items: Sequence[Item]) -> list[tuple[Item, Claim]]:
        """What to do for each item: take an answer, call, or follow who calls."""
        if not items:
            return []
        try:
            claims = await self.cache.claim([item.fingerprint for item in items], self.owner)
        except CacheUnavailable:
            # Without the cache nobody can tell who leads; the ledger's lease still keeps each job with one worker.
            return [(item, Lead(fingerprint=item.fingerprint, fence=0)) for item in items]
        self.hold.leads |= {print_: claim for print_, claim in claims.items() if isinstance(claim, Lead)}
        return [(item, claims[item.fingerprint]) for item in items]

    async def wait(self, item: Item, claim: Claim) -> Answer | Lead | None:
        """Waits for the answer that another worker is getting. Lead: that one has given up. None: stopped."""
        while isinstance(claim, Follow) and self.hold.stop is None:
            await self.clock.sleep(claim.seconds)
            ((_, claim),) = await self.claim([item])
        return await self._confirmed(item, claim)

    async def now(self, item: Item) -> Answer | Lead | None:
        """Like ``wait``, without waiting. None: another worker is calling."""
        ((_, claim),) = await self.claim([item])
        return await self._confirmed(item, claim)

    async def _confirmed(self, item: Item, claim: Claim) -> Answer | Lead | None:
        if isinstance(claim, Lead):
            # The leader may have committed without reaching the cache.
            known = await self.lookup([item])
            if item.fingerprint in known:
                await self.release([item.fingerprint])
                return known[item.fingerprint]
        return None if isinstance(claim, Follow) else claim

    async def release(self, prints: Sequence[str]) -> None:
        """Gives up leads; followers ask again and find the answer, or lead themselves."""
        leads = [self.hold.leads.pop(print_) for print_ in prints if print_ in self.hold.leads]
        if not leads:
            return
        try:
            await self.cache.release(leads)
        except CacheUnavailable as exc:
            log.warning("leads not released, they lapse by themselves", extra={"error": str(exc)})

    async def adopt(self, call_ids: Sequence[int]) -> Mapping[int, CallRecord]:
        """Calls whose answers are in the cache, but whose worker died before it could commit them."""
        lost = await self._patiently(lambda: self.ledger.missing_calls(call_ids))
        if not lost:
            return {}
        try:
            return await self.cache.calls(lost)
        except CacheUnavailable:
            return {}

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        # What siblings have in flight is paid for: an absent ledger is waited for, not run away from.
        return await patiently(self.clock, ask, lambda: self.hold.stop is Stop.DRAINING)
