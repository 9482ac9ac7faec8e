"""One call's way: gate -> provider -> cache -> settle, again if the failure policy says so.

The caller decides nothing about jobs: it brings an answer for each request of a parcel, or says why there is none.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from core import parcels
from core.admission import Entrance
from core.channels import Channel
from core.errors import CacheUnavailable, LlmsweepError, MalformedAnswer, ProviderError, ProviderRefused
from core.flight import Flight
from core.heartbeat import Hold
from core.model import Answer, CallRecord, ChatRequest, EmbeddingRequest, Outcome, Reply, Request
from core.parcels import Called, CallOutcome, Halted, NotCalled, Parcel, Parked
from core.ports import Cache, Clock, Health, Meter, Provider, Settlement, Ticket
from core.recorder import Recorder
from core.retry import Fail, Park, Retry, classify
from core.values import value

log = logging.getLogger(__name__)

_OF_THE_CONTENT = frozenset({400, 413, 422, 429})  # fails a request for what is in it, or for how much


class Caller:
    """Sends parcels. One a process."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        cache: Cache,
        recorder: Recorder,
        meter: Meter,
        channels: Callable[[str], Channel],
        clock: Clock,
    ) -> None:
        self._entrance = entrance
        self._cache = cache
        self._recorder = recorder
        self._meter = meter
        self._channels = channels
        self._clock = clock

    def scope(self, provider: str) -> str:
        """What keeps answers of a server of one's own apart from the provider's."""
        return self._channels(provider).scope

    def shares(self, provider: str) -> bool:
        """Whether answers of other sweeps may be used."""
        return self._channels(provider).shares

    async def call(self, parcel: Parcel, hold: Hold, flight: Flight | None = None) -> CallOutcome:
        """Sends a parcel until it is answered or the policy ends it. Failed attempts are committed on the way.

        ``flight``: this is one of several calls for the same jobs, ``hold`` is its own. When another one has won, it
        ends as Halted; if it was in the air, it is a row of unknown outcome with the most that it can have cost.
        """
        channel = self._channels(parcel.requests[0].provider)
        attempts = throttled = 0
        while True:
            async with channel.slots:
                ticket = await self._entrance.ticket(parcel, hold)
                if not isinstance(ticket, Ticket):
                    return ticket
                attempts += 1
                sent = await self._send(parcel, ticket, channel, flight, attempts)
            if sent is None:
                await self._give_up(parcel, ticket, hold)
                return Halted()
            if isinstance(sent, Called):
                return sent
            await self._recorder.record(Outcome(lease=hold.lease, calls=(sent.record,)))
            if not isinstance(sent.decision, Retry):
                return _final(sent, sent.decision, attempts)
            throttled += sent.decision.throttled
            tries = attempts - throttled
            if channel.policy.exhausted(tries=tries, throttled=throttled):
                return NotCalled(error=sent.record.error or {}, attempts=attempts)
            pause_s = channel.policy.wait_s(sent.decision, tries=tries, throttled=throttled)
            await hold.patient(self._clock.sleep(pause_s))

    async def _send(
        self, parcel: Parcel, ticket: Ticket, channel: Channel, flight: Flight | None, attempts: int
    ) -> "Called | _Failed | None":
        sending = _transmit(channel.provider, parcel)
        try:
            reply = await (sending if flight is None else flight.carry(sending))
        except ProviderError as exc:
            return await self._failed(parcel, ticket, exc)
        except asyncio.CancelledError:
            # In flight when the process was told to stop: the intent stays, the reaper books it as unknown.
            log.warning("call abandoned in flight", extra={"call_id": ticket.ask.call_id})
            raise
        if reply is None:
            return None
        first = parcel.requests[0]
        cost = self._meter.cost(first.provider, first.model, reply.usage)
        record = parcels.answered(parcel, ticket, reply, cost)
        found = parcels.answers(record.id, reply)
        pairs = zip(parcel.fingerprints, found, strict=True)
        await self._store(record, {print_: answer for print_, answer in pairs if not answer.flaw}, channel)
        await self._entrance.settle(
            ticket,
            Settlement(
                health=Health.GOOD,
                tokens=reply.usage.total,
                input_tokens=reply.usage.prompt - reply.usage.cached,
                output_tokens=reply.usage.completion,
                cost_usd=cost,
                limits=reply.limits,
            ),
        )
        return Called(record=record, answers=found, attempts=attempts)

    async def _give_up(self, parcel: Parcel, ticket: Ticket, hold: Hold) -> None:
        # A row before the intent goes: whatever dies in between, the call is known. The provider may bill what nobody
        # waits for, so the reservation stays spent and the booked tokens stay used.
        await self._recorder.record(Outcome(lease=hold.lease, calls=(parcels.given_up(parcel, ticket),)))
        await self._entrance.settle(ticket, Settlement(health=Health.NEUTRAL))

    async def _failed(self, parcel: Parcel, ticket: Ticket, exc: ProviderError) -> "_Failed":
        decision = classify(exc)
        cost, most = self._billed(parcel.requests[0], exc)
        record = parcels.failed(parcel, ticket, exc, cost)
        if most is not None:
            record = replace(record, cost_max_usd=most)
        await self._entrance.settle(
            ticket,
            Settlement(
                health=decision.health,
                tokens=None if exc.usage is None else exc.usage.total,
                cost_usd=record.cost_max_usd if cost is None else cost,
                freeze_s=decision.freeze_s if isinstance(decision, Retry) else None,
                limits=exc.limits,
            ),
        )
        return _Failed(decision=decision, record=record)

    def _billed(self, first: Request, exc: ProviderError) -> tuple[float | None, float | None]:
        """What a failed call cost, and the most that it can have cost; None: nobody knows.

        A timeout or a broken answer may have been billed. An answer that tells its tokens and holds nothing else
        (no choices) costs that, or nothing.
        """
        counted = None if exc.usage is None else self._meter.cost(first.provider, first.model, exc.usage)
        if not isinstance(exc, ProviderRefused):
            return None, counted
        return (0.0 if exc.usage is None else counted), counted

    async def _store(self, record: CallRecord, answers: Mapping[str, Answer], channel: Channel) -> None:
        # Before the commit: what a crash in between would lose is found here.
        try:
            await self._cache.put(record, answers, ttl_s=channel.cache_ttl_s)
        except CacheUnavailable as exc:
            log.warning("cache away, answer kept only in the ledger", extra={"error": str(exc)})


@value
class _Failed:
    decision: Retry | Park | Fail
    record: CallRecord


def _final(sent: _Failed, decision: Park | Fail, attempts: int) -> Parked | NotCalled:
    if isinstance(decision, Park):
        return Parked(reason=f"{sent.record.provider}: {decision.reason}")
    error = sent.record.error or {}
    return NotCalled(error=error, attempts=attempts, parts_may_pass=error.get("status") in _OF_THE_CONTENT)


async def _transmit(provider: Provider, parcel: Parcel) -> Reply:
    first = parcel.requests[0]
    try:
        if isinstance(first, ChatRequest):
            return await provider.chat(first)
        texts = [request.text for request in parcel.requests if isinstance(request, EmbeddingRequest)]
        return await provider.embed(first.model, texts, first.dimensions)
    except LlmsweepError:
        raise
    except Exception as exc:  # the boundary of a call: what no provider foresaw must neither leak its ticket nor loop
        log.exception("a provider broke in an unforeseen way", extra={"provider": provider.name})
        raise MalformedAnswer(f"the answer can't be read: {type(exc).__name__}") from exc
