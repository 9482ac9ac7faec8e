"""The only place where the concrete parts meet: one event loop in a thread of its own, one engine a process."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from core.admission import Entrance
from core.cache.redis import RedisCache
from core.calling import Caller
from core.channels import Channel, Slots
from core.clock import SystemClock
from core.company import Company
from core.engine import Engine
from core.gate.redis import RedisGate
from core.heartbeat import Heartbeat
from core.hedging import Hedges
from core.model import ChunkRef
from core.pipeline import run_chunk
from core.ports import ChunkSummary, Gate, GateStatus, Ledger, Limits
from core.pricing import Meter
from core.providers import create
from core.recorder import Recorder
from core.retry import RetryPolicy
from core.routing import Router, capabilities
from core.settings import PREFIXES, RULES, ProviderSettings, Settings, cache_scope, provider_settings
from db.ledger import PostgresLedger
from tasks import registry
from workers.metrics import CountedGate, CountedLedger, Metrics
from workers.owner import owner_name
from workers.redis_client import redis_client

T = TypeVar("T")

log = logging.getLogger(__name__)

_PATIENCE_S = 25.0  # after SIGTERM, for a ledger that is away: whoever runs containers kills after 30
_QUIET_S = 3.0  # without a call in flight, after that: nothing is waited for but a server of ours
_LOOK_EVERY_S = 0.25
_STOP_S = 75.0  # the longest call, and a little
_LOOK_S = 2.0


def limits_of_all() -> dict[str, Limits]:
    """What the settings say of the limits of all providers, also those that a sweep is only rerouted to."""
    found = {name: provider_settings(name) for name in PREFIXES}
    return {name: loaded.limits() for name, loaded in found.items()}


def _most_answers(provider: str) -> int | None:
    return provider_settings(provider).cache_max_size if provider in PREFIXES else None


def _metered() -> list[str]:
    return [RULES, *(name for name in PREFIXES if provider_settings(name).metrics_enabled)]


@dataclass(slots=True)
class _Loop:
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


class Runtime:
    """A process's engine. ``run`` may be called from any thread; all calls share the one loop."""

    def __init__(self, settings: Settings, *, fatal: Callable[[BaseException], None]) -> None:
        self.owner = owner_name()
        self._settings = settings
        self._fatal = fatal
        self._draining: asyncio.Task[None] | None = None
        self._channels: dict[str, Channel] = {}
        self._ledger = PostgresLedger(settings.database_url, lease_s=settings.chunk_lease_s)
        self._gate_client = redis_client(settings.redis_url)
        self._cache_client = redis_client(settings.cache())
        self._clock = SystemClock()
        self.metrics = None if settings.metrics_port is None else Metrics(_metered(), self._gate_status)
        self._loop = _start_loop()
        self._background: list[asyncio.Task[None]] = []
        self.engine = self.call(self._build())

    def run(self, ref: ChunkRef) -> ChunkSummary | None:
        """Runs a chunk on the loop and waits for it. Raises LedgerUnavailable before any call was made."""
        return asyncio.run_coroutine_threadsafe(run_chunk(self.engine, ref), self._loop.loop).result()

    def touch(self, file: Path) -> None:
        """Marks a file as new, from the loop: proof that it turns."""
        self._loop.loop.call_soon_threadsafe(file.touch)

    def drain(self, leave: Callable[[], None]) -> None:
        """From now on no new call; running chunks give back what they have not called.

        What is in flight is waited for, and a ledger that is away for a while: then ``leave`` ends the process without.
        """
        self._loop.loop.call_soon_threadsafe(self._drain, leave)

    def close(self) -> None:
        """Commits what is queued and closes all connections."""
        self.call(self._close())
        self._loop.loop.call_soon_threadsafe(self._loop.loop.stop)
        self._loop.thread.join(timeout=5)

    def call(self, coroutine: Coroutine[Any, Any, T], *, patience_s: float = _STOP_S) -> T:
        """Runs a coroutine on the loop, from another thread. Raises TimeoutError."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop.loop).result(timeout=patience_s)

    def _gate_status(self, provider: str) -> GateStatus:
        return self.call(self.gate.status(provider), patience_s=_LOOK_S)

    def _drain(self, leave: Callable[[], None]) -> None:
        self.engine.heartbeat.drain()
        self._draining = self._loop.loop.create_task(self._leave_in_time(leave), name="draining")

    async def _leave_in_time(self, leave: Callable[[], None]) -> None:
        # What waits for the ledger has its answer in the cache, and is found there by its fingerprint.
        await self._clock.sleep(_PATIENCE_S)
        quiet_s = 0.0
        while quiet_s < _QUIET_S:
            await self._clock.sleep(_LOOK_EVERY_S)
            quiet_s = 0.0 if self.gate.in_flight else quiet_s + _LOOK_EVERY_S
        log.warning("leaving without the ledger", extra={"results": self.engine.recorder.waiting})
        leave()

    async def _build(self) -> Engine:
        self.gate = RedisGate(self._gate_client, limits_of_all(), self._clock, spent=self._ledger.spent)
        self.cache = cache = RedisCache(self._cache_client, self._clock, most=_most_answers)
        gate: Gate = self.gate if self.metrics is None else CountedGate(self.gate, self.metrics)
        ledger: Ledger = self._ledger if self.metrics is None else CountedLedger(self._ledger, self.metrics)
        recorder = Recorder(ledger, self._clock)
        heartbeat = Heartbeat(self._ledger, cache, self._clock, lease_s=self._settings.chunk_lease_s)
        meter = Meter(self._settings)
        entrance = Entrance(
            gate=gate,
            ledger=self._ledger,
            recorder=recorder,
            meter=meter,
            channels=self._channel,
            clock=self._clock,
            owner=self.owner,
        )
        caller = Caller(
            entrance=entrance,
            cache=cache,
            recorder=recorder,
            meter=meter,
            channels=self._channel,
            clock=self._clock,
        )
        for name, work in (("recorder", recorder.run()), ("heartbeat", heartbeat.run())):
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(self._ended)
            self._background.append(task)
        return Engine(
            leases=self._ledger,
            ledger=self._ledger,
            cache=cache,
            caller=caller,
            recorder=recorder,
            heartbeat=heartbeat,
            meter=meter,
            kinds=registry.kind,
            clock=self._clock,
            owner=self.owner,
            company=Company(),
            router=Router(
                capabilities=lambda place: capabilities(place, meter.context_tokens(place.provider, place.model)),
                rates=self._ledger.success_rates,
                clock=self._clock,
            ),
            hedges=Hedges(),
        )

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            settings = ProviderSettings() if name == RULES else self._settings.provider(name)
            self._channels[name] = Channel(
                provider=create(name, settings, answer=registry.answer),
                policy=RetryPolicy.of(settings),
                slots=Slots(settings.max_concurrent_requests),
                cache_ttl_s=settings.cache_ttl,
                scope="" if name == RULES else cache_scope(name, settings),
                shares=settings.cache_enabled,
                counts_tokens=settings.rate_limit_tpm is not None,
            )
        return self._channels[name]

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A worker without its recorder or heartbeat would take work and never finish it.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s died", task.get_name(), exc_info=error)
            self._fatal(error)

    async def _close(self) -> None:
        await self.engine.recorder.flush()
        for task in self._background:
            task.cancel()
        for channel in self._channels.values():
            await channel.provider.close()
        await self.gate.close()
        await self._gate_client.aclose()
        await self._cache_client.aclose()
        await self._ledger.close()


@asynccontextmanager
async def cache_of(settings: Settings) -> AsyncIterator[RedisCache]:
    """The cache alone, for those who look at it or clear it."""
    client = redis_client(settings.cache())
    try:
        yield RedisCache(client, SystemClock())
    finally:
        await client.aclose()


def _start_loop() -> _Loop:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engine", daemon=True)
    thread.start()
    return _Loop(loop=loop, thread=thread)
