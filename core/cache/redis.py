"""The cache in Redis: answers by fingerprint, call records by id, and who calls for what right now.

Its server may evict and forget whatever it likes (``allkeys-lfu``): a lost value is a miss, a lost lease is one call
too many. Values are untrusted: a broken one is a miss, and deleted.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError, RedisError

from core.cache.bound import Bound, MostOf, unbounded
from core.cache.coalesce import Coalescer
from core.cache.codec import Entry, pack_call, pack_entry, unpack_call, unpack_entry
from core.cache.stats import CacheStats
from core.errors import CacheUnavailable
from core.model import Answer, CallRecord
from core.ports import Claim, Clock, Follow, Lead

LEASE_S = 10.0
"""A lead that nobody renews for so long is taken over."""

_PREFIX = "llmsweep:cache:"
_ANSWER = _PREFIX + "answer:"
_CALL = _PREFIX + "call:"
_STATS = _PREFIX + "stats"
_TIMEOUT_S = 5.0
_PAGE = 500


class RedisCache:
    """Cache and SingleFlight. One a process; raises CacheUnavailable whatever keeps the server from answering."""

    def __init__(self, client: redis.asyncio.Redis, clock: Clock, *, most: MostOf = unbounded) -> None:
        """The client must not decode responses: values are bytes."""
        del clock  # the server's time decides
        self._client = client
        self._bound = Bound(client, _PREFIX, most)
        self._hits = 0
        self._misses = 0
        self._puts = Coalescer(self._put_all)
        self._releases = Coalescer(self._release_all)

    # -- answers

    async def get(self, fingerprints: Sequence[str]) -> Mapping[str, Answer]:
        """The answers that are known. One round trip."""
        if not fingerprints:
            return {}
        raw = await self._mget([_ANSWER + print_ for print_ in fingerprints], count=True)
        entries = {print_: unpack_entry(value) for print_, value in zip(fingerprints, raw, strict=True) if value}
        found = {print_: entry.answer for print_, entry in entries.items() if entry is not None}
        self._hits += len(found)
        self._misses += len(fingerprints) - len(found)
        await self._unlink([_ANSWER + print_ for print_ in entries if print_ not in found])
        return found

    async def put(self, call: CallRecord, answers: Mapping[str, Answer], *, ttl_s: float) -> None:
        """Stores a call and its answers, and ends the leads. One round trip, shared with what is stored meanwhile."""
        sweep = str(call.metadata.get("sweep", ""))
        values = {
            print_: pack_entry(Entry(answer=answer, sweep=sweep, model=call.model))
            for print_, answer in answers.items()
        }
        await self._puts.add(_Put(call, values, ttl_s))

    async def _put_all(self, batch: list["_Put"]) -> None:
        for ttl_s in {put.ttl_s for put in batch}:
            alike = [put for put in batch if put.ttl_s == ttl_s]
            # As bytes, which the client need not look at twice.
            answers = [
                part for put in alike for print_, value in put.values.items() for part in (print_.encode(), value)
            ]
            calls = [part for put in alike for part in (b"call:%d" % put.call.id, pack_call(put.call))]
            await self._script("put", round(ttl_s * 1000), len(answers) // 2, *answers, *calls)
        await self._unlink(await self._excess(batch))

    async def _excess(self, batch: list["_Put"]) -> list[str]:
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                pipe = self._client.pipeline(transaction=False)
                written = (
                    (put.call.provider, put.call.id, [_ANSWER + print_ for print_ in put.values]) for put in batch
                )
                bounded = self._bound.note(pipe, written)
                if not bounded:
                    return []
                replies = await pipe.execute()
                counts = dict(zip(bounded, replies[len(replies) - len(bounded) :], strict=True))
                return await self._bound.excess(counts)

    async def calls(self, call_ids: Sequence[int]) -> Mapping[int, CallRecord]:
        """The whole records of calls."""
        if not call_ids:
            return {}
        raw = await self._mget([f"{_CALL}{call_id}" for call_id in call_ids])
        records = {id_: unpack_call(value) for id_, value in zip(call_ids, raw, strict=True) if value}
        await self._unlink([f"{_CALL}{id_}" for id_, record in records.items() if record is None])
        return {id_: record for id_, record in records.items() if record is not None}

    # -- single flight

    async def claim(self, fingerprints: Sequence[str], owner: str) -> Mapping[str, Claim]:
        """Hit, lead or follow for each, decided by the server at one instant."""
        del owner  # the fence tells leaders apart, even two of one process
        claims, broken = await self._claim(fingerprints)
        if broken:
            await self._unlink([_ANSWER + print_ for print_ in broken])
            again, still_broken = await self._claim(broken)
            # Written broken again in between: whoever does that is the leader.
            claims |= again | {print_: Follow(fingerprint=print_, seconds=1.0) for print_ in still_broken}
        return claims

    async def renew(self, leads: Sequence[Lead]) -> Sequence[Lead]:
        """Prolongs the leads; returns those that still hold."""
        held = await self._hold(leads, round(LEASE_S * 1000))
        return [lead for lead, ok in zip(leads, held, strict=True) if ok]

    async def release(self, leads: Sequence[Lead]) -> None:
        """Ends the leads that still hold; others' are left alone."""
        await self._releases.add(leads)

    async def _release_all(self, batch: list[Sequence[Lead]]) -> None:
        await self._hold([lead for leads in batch for lead in leads], 0)

    async def _claim(self, fingerprints: Sequence[str]) -> tuple[dict[str, Claim], list[str]]:
        if not fingerprints:
            return {}, []
        raw = await self._script("claim", round(LEASE_S * 1000), *fingerprints)
        claims = {print_: _claim_of(print_, value) for print_, value in zip(fingerprints, raw, strict=True)}
        broken = [print_ for print_, claim in claims.items() if claim is None]
        return {print_: claim for print_, claim in claims.items() if claim is not None}, broken

    async def _hold(self, leads: Sequence[Lead], lease_ms: int) -> list[int]:
        if not leads:
            return []
        pairs = [part for lead in leads for part in (lead.fingerprint, lead.fence)]
        return cast("list[int]", await self._script("hold", lease_ms, *pairs))

    # -- care

    async def stats(self) -> CacheStats:
        """What was counted so far."""
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                pipe = self._client.pipeline(transaction=False)
                self._count(pipe)
                await pipe.execute()
                counts = await self._client.hgetall(_STATS)
                info = await self._client.info("stats")
                entries = await self._client.dbsize()
        by_name = {_text(name): int(value) for name, value in counts.items()}
        return CacheStats(
            hits=by_name.get("hits", 0),
            misses=by_name.get("misses", 0),
            evictions=int(info.get("evicted_keys", 0)),
            entries=entries,
        )

    async def clear(self, *, sweep: str | None = None, model: str | None = None) -> int:
        """Forgets answers: of a sweep, of a model, of both, or all. Returns how many. Reads page by page."""
        count = 0
        async for keys in self._pages(_ANSWER + "*"):
            chosen = keys if sweep is None and model is None else await self._chosen(keys, sweep, model)
            count += await self._unlink(chosen)
        return count

    async def _chosen(self, keys: list[str], sweep: str | None, model: str | None) -> list[str]:
        raw = await self._mget(keys) if keys else []
        return [
            key for key, value in zip(keys, raw, strict=True) if value and _matches(unpack_entry(value), sweep, model)
        ]

    async def _pages(self, pattern: str) -> AsyncIterator[list[str]]:
        cursor = 0
        while True:
            with _translated():
                async with asyncio.timeout(_TIMEOUT_S):
                    cursor, keys = await self._client.scan(cursor, match=pattern, count=_PAGE)
            yield [_text(key) for key in keys]
            if not cursor:
                return

    # -- the wire

    async def _mget(self, keys: list[str], *, count: bool = False) -> list[bytes | None]:
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                pipe = self._client.pipeline(transaction=False)
                pipe.mget(keys)
                if count:
                    self._count(pipe)
                return cast("list[bytes | None]", (await pipe.execute())[0])

    def _count(self, pipe: Pipeline) -> None:
        # Told with the next look-up: counting costs no round trip of its own.
        pipe.hincrby(_STATS, "hits", self._hits)
        pipe.hincrby(_STATS, "misses", self._misses)
        self._hits = self._misses = 0

    async def _unlink(self, keys: list[str]) -> int:
        if not keys:
            return 0
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                return int(await self._client.unlink(*keys))

    async def _script(self, name: str, *args: str | bytes | int) -> list[Any]:
        text, sha = _script(name)
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                try:
                    return cast("list[Any]", await self._client.evalsha(sha, 0, _PREFIX, *args))
                except NoScriptError:
                    # The server is new, or its scripts were flushed.
                    return cast("list[Any]", await self._client.eval(text, 0, _PREFIX, *args))


@dataclass(frozen=True, slots=True)
class _Put:
    call: CallRecord
    values: dict[str, bytes]
    ttl_s: float


@cache
def _script(name: str) -> tuple[str, str]:
    text = (Path(__file__).parent / f"{name}.lua").read_text()
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


def _claim_of(print_: str, value: Any) -> Claim | None:
    if isinstance(value, int):
        return Lead(fingerprint=print_, fence=value)
    if isinstance(value, list):
        return Follow(fingerprint=print_, seconds=patience(value[0] / 1000))
    entry = unpack_entry(value)
    return None if entry is None else entry.answer


def patience(leading_s: float) -> float:
    """How long a follower waits before it asks again: about half of what the leader has taken so far."""
    return min(1.0, max(0.05, leading_s / 2)) * random.uniform(0.8, 1.2)


def _matches(entry: Entry | None, sweep: str | None, model: str | None) -> bool:
    return entry is not None and sweep in {None, entry.sweep} and model in {None, entry.model}


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as exc:
        raise CacheUnavailable(f"cache server: {exc or type(exc).__name__}") from exc
