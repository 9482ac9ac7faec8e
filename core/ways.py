"""Whom to ask instead: the way of a job whose own provider is down, or will not answer it."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from core.judging import Item
from core.model import ChatRequest, JsonObject, Lease, Variant
from core.ports import Meter
from core.rendering import Renderer
from core.routing import Place, Router, needs_of

log = logging.getLogger(__name__)


class Ways:
    """A chunk's alternatives. Never for vectors: another model's would not compare."""

    def __init__(self, *, lease: Lease, renderer: Renderer, router: Router, meter: Meter) -> None:
        self._own = place_of(lease.variant)
        self._places: Mapping[Place, Variant] = {place_of(way): way for way in (lease.variant, *lease.reroute)}
        self._kind = lease.kind
        self._options = lease.options
        self._renderer = renderer
        self._router = router
        self._meter = meter

    def any_for(self, item: Item) -> bool:
        """Whether the sweep names somebody else for it."""
        return len(self._places) > 1 and isinstance(item.request, ChatRequest)

    async def next(self, item: Item) -> Item | None:
        """The item for the best way that is left. None: all that are left have been found down."""
        found = await self.best(item, 1)
        return found[0] if found else None

    async def anew(self, item: Item) -> Item | None:
        """After a while nobody counts as down any more: the item for its own provider, else for the best way.

        None: nobody is left to wait for.
        """
        again = replace(item, away=frozenset())
        if str(self._own) in item.failed:
            return await self.next(again)
        return self._renderer.elsewhere(again, self._places[self._own])

    async def best(self, item: Item, count: int, *, but: Place | None = None) -> list[Item]:
        """The item for so many ways at most, the best first: none that was found down or failed.

        Ways that don't fit are marked as failed on the item.
        """
        left = [p for p in self._places if p != but and str(p) not in item.failed and p.provider not in item.away]
        if not left or not self.any_for(item):
            return []
        tokens = self._meter.prompt_tokens(item.request)
        routing = await self._router.order(left, needs_of(item.request, tokens, self._kind, self._options))
        for place, why in routing.unfit.items():
            self._fail(item, place, {"type": "Incompatible", "message": why})
        chosen: list[Item] = []
        for place in routing.ways:
            if len(chosen) == count:
                break
            try:
                chosen.append(self._renderer.elsewhere(item, self._places[place]))
            except Exception as exc:  # the boundary of a job: what this provider can't be asked, the next one may
                log.exception("a job can't be rendered for another provider", extra={"job": item.jobs[0].key})
                self._fail(item, place, {"type": type(exc).__name__, "message": str(exc)[:500]})
        return chosen

    def error(self, item: Item) -> JsonObject:
        """What a job's error says once nobody is left: its own provider's, and each other's reason."""
        reasons = {name: f"{error.get('type', '')}: {error.get('message', '')}" for name, error in item.failed.items()}
        own = item.failed.get(str(self._own), {})
        return {**own, "alternatives": {name: why for name, why in reasons.items() if name != str(self._own)}}

    def _fail(self, item: Item, place: Place, error: JsonObject) -> None:
        log.warning(
            "an alternative is left out",
            extra={"job": item.jobs[0].key, "place": str(place), "why": error.get("message", "")},
        )
        item.failed = {**item.failed, str(place): error}


def place_of(variant: Variant) -> Place:
    """Whom a variant asks."""
    return Place(provider=variant.provider, model=variant.model)


def failed(item: Item, error: JsonObject) -> Item:
    """The item whose provider will not answer it."""
    return replace(item, failed={**item.failed, str(place_of(item.variant)): error})


def away(item: Item) -> Item:
    """The item whose provider was found down."""
    return replace(item, away=item.away | {item.variant.provider})
