"""The cache's twin in memory: same answers, one process. For tests, simulation and runs without a server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from core.cache.stats import CacheStats
from core.model import Answer, CallRecord
from core.ports import Claim, Clock, Follow, Lead

LEASE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    call: CallRecord
    until: float


@dataclass(slots=True)
class _Lease:
    fence: int
    since: float
    until: float


class MemoryCache:
    """Cache and SingleFlight."""

    def __init__(self, clock: Clock, *, most: int | None = None) -> None:
        """``most``: answers that are kept, the oldest go; None: all."""
        self._clock = clock
        self._most = most
        self._answers: dict[str, _Kept] = {}
        self._calls: dict[int, tuple[CallRecord, float]] = {}
        self._leases: dict[str, _Lease] = {}
        self._fences = count(1)
        self._hits = 0
        self._misses = 0

    async def get(self, fingerprints: Sequence[str]) -> Mapping[str, Answer]:
        """The answers that are known."""
        found = {print_: answer for print_ in fingerprints if (answer := self._answer(print_)) is not None}
        self._hits += len(found)
        self._misses += len(fingerprints) - len(found)
        return found

    async def put(self, call: CallRecord, answers: Mapping[str, Answer], *, ttl_s: float) -> None:
        """Stores a call and its answers, and ends the leads for them."""
        until = self._clock.time() + ttl_s
        self._calls[call.id] = (call, until)
        for print_, answer in answers.items():
            self._answers[print_] = _Kept(answer, call, until)
            self._leases.pop(print_, None)
        if self._most is not None:
            _shorten(self._calls, self._most)
            _shorten(self._answers, self._most)

    async def calls(self, call_ids: Sequence[int]) -> Mapping[int, CallRecord]:
        """The whole records of calls."""
        now = self._clock.time()
        kept = {id_: self._calls[id_] for id_ in call_ids if id_ in self._calls}
        return {id_: call for id_, (call, until) in kept.items() if now < until}

    async def claim(self, fingerprints: Sequence[str], owner: str) -> Mapping[str, Claim]:
        """Hit, lead or follow for each."""
        del owner  # the fence tells leaders apart, even two of one process
        return {print_: self._claim(print_) for print_ in fingerprints}

    async def renew(self, leads: Sequence[Lead]) -> Sequence[Lead]:
        """Prolongs the leads; returns those that still hold."""
        held = [lead for lead in leads if self._holds(lead)]
        for lead in held:
            self._leases[lead.fingerprint].until = self._clock.time() + LEASE_S
        return held

    async def release(self, leads: Sequence[Lead]) -> None:
        """Ends the leads that still hold; others' are left alone."""
        for lead in leads:
            if self._holds(lead):
                del self._leases[lead.fingerprint]

    async def stats(self) -> CacheStats:
        """What was counted so far."""
        return CacheStats(hits=self._hits, misses=self._misses, entries=len(self._answers))

    async def clear(self, *, sweep: str | None = None, model: str | None = None) -> int:
        """Forgets answers: of a sweep, of a model, of both, or all. Returns how many."""
        gone = [
            print_
            for print_, kept in self._answers.items()
            if sweep in {None, kept.call.metadata.get("sweep", "")} and model in {None, kept.call.model}
        ]
        for print_ in gone:
            del self._answers[print_]
        return len(gone)

    def _answer(self, print_: str) -> Answer | None:
        kept = self._answers.get(print_)
        return None if kept is None or self._clock.time() >= kept.until else kept.answer

    def _claim(self, print_: str) -> Claim:
        answer = self._answer(print_)
        if answer is not None:
            return answer
        now = self._clock.time()
        lease = self._leases.get(print_)
        if lease is not None and now < lease.until:
            return Follow(fingerprint=print_, seconds=min(1.0, max(0.05, (now - lease.since) / 2)))
        fence = next(self._fences)
        self._leases[print_] = _Lease(fence, now, now + LEASE_S)
        return Lead(fingerprint=print_, fence=fence)

    def _holds(self, lead: Lead) -> bool:
        lease = self._leases.get(lead.fingerprint)
        return lease is not None and lease.fence == lead.fence and self._clock.time() < lease.until


def _shorten(kept: dict[Any, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
