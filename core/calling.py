"""One call's way: gate -> provider -> cache -> settle, again if the failure policy says so.

The caller decides nothing about jobs: it brings an answer for each request of a parcel, or says why there is none.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from core import parcels
from core.errors import (
    CacheUnavailable,
    GateUnavailable,
    LedgerUnavailable,
    LlmsweepError,
    MalformedAnswer,
    ProviderError,
    ProviderRefused,
)
from core.fingerprint import batch_fingerprint
from core.heartbeat import Hold
from core.line import Line
from core.model import (
    Answer,
    CallRecord,
    ChatRequest,
    EmbeddingRequest,
    Outcome,
    Reply,
    Request,
)
from core.parcels import Called, CallOutcome, Closed, Halted, NotCalled, Parcel, Parked
from core.ports import (
    Admission,
    Ask,
    Cache,
    Clock,
    Gate,
    Health,
    Ledger,
    Meter,
    Provider,
    Refused,
    Settlement,
    Ticket,
    Wait,
)
from core.recorder import Recorder
from core.retry import Fail, Park, Retry, RetryPolicy, classify
from core.together import patiently

log = logging.getLogger(__name__)

_GATE_AWAY_S = 0.5
_UNSURE_S = 0.1  # between looks whether the heartbeat has saved a lease
_ID_BLOCK = 256
_OF_THE_CONTENT = frozenset({400, 413, 422, 429})  # fails a request for what is in it, or for how much
_FIRST_GUESS = 256  # completion tokens; the gate learns per template and model how wrong it is


class Slots(asyncio.Semaphore):
    """A process's concurrent calls to one provider."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A provider as this process uses it."""

    provider: Provider
    policy: RetryPolicy
    slots: Slots
    cache_ttl_s: float
    scope: str  # "" for the provider itself, else whose server answers in its place: its answers are its own
    shares: bool = True  # whether a sweep takes answers that others have paid for (CACHE_ENABLED)
    counts_tokens: bool = True  # else they are guessed, unless money depends on them; the gate learns from real figures


class Caller:
    """Sends parcels. One a process."""

    def __init__(
        self,
        *,
        gate: Gate,
        cache: Cache,
        ledger: Ledger,
        recorder: Recorder,
        meter: Meter,
        channels: Callable[[str], Channel],
        clock: Clock,
        owner: str,
    ) -> None:
        self._gate = gate
        self._cache = cache
        self._ledger = ledger
        self._recorder = recorder
        self._meter = meter
        self._channels = channels
        self._clock = clock
        self._owner = owner
        self._ids: list[int] = []
        self._fetching = asyncio.Lock()  # a thousand calls that begin at once share a few blocks of ids
        self._lines: defaultdict[str, Line] = defaultdict(Line)

    def scope(self, provider: str) -> str:
        """What keeps answers of a server of one's own apart from the provider's."""
        return self._channels(provider).scope

    def shares(self, provider: str) -> bool:
        """Whether answers of other sweeps may be used."""
        return self._channels(provider).shares

    async def call(self, parcel: Parcel, hold: Hold) -> CallOutcome:
        """Sends a parcel until it is answered or the policy ends it. Failed attempts are committed on the way."""
        channel = self._channels(parcel.requests[0].provider)
        attempts = throttled = 0
        while True:
            async with channel.slots:
                ticket = await self._admitted(parcel, hold)
                if not isinstance(ticket, Ticket):
                    return ticket
                sent = await self._send(parcel, ticket, channel)
            attempts += 1
            if isinstance(sent, Called):
                return replace(sent, attempts=attempts)
            await self._recorder.record(Outcome(lease=hold.lease, calls=(sent.record,)))
            match sent.decision:
                case Park(reason=reason):
                    return Parked(reason=f"{ticket.ask.provider}: {reason}")
                case Fail():
                    error = sent.record.error or {}
                    parts_may_pass = error.get("status") in _OF_THE_CONTENT
                    return NotCalled(error=error, attempts=attempts, parts_may_pass=parts_may_pass)
                case Retry() as retry:
                    throttled += retry.throttled
                    tries = attempts - throttled
                    if channel.policy.exhausted(tries=tries, throttled=throttled):
                        return NotCalled(error=sent.record.error or {}, attempts=attempts)
                    pause_s = channel.policy.wait_s(retry, tries=tries, throttled=throttled)
                    await hold.patient(self._clock.sleep(pause_s))

    # -- before

    async def _admitted(self, parcel: Parcel, hold: Hold) -> Ticket | NotCalled | Parked | Closed | Halted:
        try:
            ask = await self._ask(parcel, hold)
        except LedgerUnavailable:
            return Halted()
        line = self._lines[ask.provider]
        while hold.stop is None:
            async with line.head(hold):
                admission = await self._answer(ask, hold, line)
            match admission:
                case Wait(seconds=seconds):
                    await self._clock.sleep(seconds)
                case Refused() as refused:
                    return parcels.refusal(refused)
                case Ticket() as ticket:
                    if await self._due(ticket, hold):
                        return ticket
        return Halted()

    async def _answer(self, ask: Ask, hold: Hold, line: Line) -> Admission | None:
        """Asks until the gate has answered for this call alone. None: the hold was stopped."""
        while hold.stop is None:
            if not self._is_sure(hold):
                await self._clock.sleep(_UNSURE_S)
                continue
            await self._recorder.ready(self._channels(ask.provider).slots.count)
            try:
                admission = await self._gate.admit(ask)
            except GateUnavailable as exc:
                log.warning("gate away, nothing is sent", extra={"error": str(exc)})
                await self._clock.sleep(_GATE_AWAY_S)
                continue
            line.heard(admission)
            if not isinstance(admission, Wait) or admission.alone:
                return admission
            await self._clock.sleep(admission.seconds)
        return None

    async def _due(self, ticket: Ticket, hold: Hold) -> bool:
        # A booked ticket is waited for; stopped meanwhile, it goes back unsent.
        try:
            if ticket.delay_s > 0:
                await hold.patient(self._gate.turn(ticket))
        except asyncio.CancelledError:
            await self._settle(ticket, Settlement(health=Health.NEUTRAL, sent=False))
            raise
        if hold.stop is None and self._is_sure(hold):
            return True
        await self._settle(ticket, Settlement(health=Health.NEUTRAL, sent=False))
        return False

    def _is_sure(self, hold: Hold) -> bool:
        return self._clock.monotonic() < hold.sure_until

    async def _ask(self, parcel: Parcel, hold: Hold) -> Ask:
        first = parcel.requests[0]
        exact = hold.lease.budget_usd is not None or self._channels(first.provider).counts_tokens
        sizes = [self._meter.prompt_tokens(request, exact=exact) for request in parcel.requests]
        worst = [self._meter.worst_case(*pair) for pair in zip(parcel.requests, sizes, strict=True)]
        prices = [usd for _, usd in worst]
        return Ask(
            call_id=await self._next_id(hold),
            provider=first.provider,
            model=first.model,
            sweep_id=hold.lease.ref.sweep_id,
            owner=self._owner,
            fingerprint=batch_fingerprint(list(parcel.fingerprints)),
            modality=first.modality,
            tokens=min(sum(sizes) + _FIRST_GUESS * isinstance(first, ChatRequest), sum(tokens for tokens, _ in worst)),
            worst_usd=None if None in prices else sum(usd for usd in prices if usd is not None),
            budget_usd=hold.lease.budget_usd,
            template=first.version,
        )

    async def _next_id(self, hold: Hold) -> int:
        while not self._ids:
            async with self._fetching:
                if not self._ids:
                    fresh = await patiently(
                        self._clock, lambda: self._ledger.call_ids(_ID_BLOCK), lambda: hold.stop is not None
                    )
                    self._ids = list(fresh)[::-1]
        return self._ids.pop()

    # -- the call

    async def _send(self, parcel: Parcel, ticket: Ticket, channel: Channel) -> "Called | _Failed":
        try:
            reply = await _transmit(channel.provider, parcel)
        except ProviderError as exc:
            return await self._failed(parcel, ticket, exc)
        except asyncio.CancelledError:
            # In flight when the process was told to stop: the intent stays, the reaper books it as unknown.
            log.warning("call abandoned in flight", extra={"call_id": ticket.ask.call_id})
            raise
        first = parcel.requests[0]
        cost = self._meter.cost(first.provider, first.model, reply.usage)
        record = parcels.answered(parcel, ticket, reply, cost)
        found = parcels.answers(record.id, reply)
        await self._store(record, dict(zip(parcel.fingerprints, found, strict=True)), channel)
        await self._settle(
            ticket,
            Settlement(health=Health.GOOD, tokens=reply.usage.total, cost_usd=cost, limits=reply.limits),
        )
        return Called(record=record, answers=found)

    async def _failed(self, parcel: Parcel, ticket: Ticket, exc: ProviderError) -> "_Failed":
        decision = classify(exc)
        cost, most = self._billed(parcel.requests[0], exc)
        record = parcels.failed(parcel, ticket, exc, cost)
        if most is not None:
            record = replace(record, cost_max_usd=most)
        await self._settle(
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

    # -- after

    async def _store(self, record: CallRecord, answers: Mapping[str, Answer], channel: Channel) -> None:
        # Before the commit: what a crash in between would lose is found here.
        try:
            await self._cache.put(record, answers, ttl_s=channel.cache_ttl_s)
        except CacheUnavailable as exc:
            log.warning("cache away, answer kept only in the ledger", extra={"error": str(exc)})

    async def _settle(self, ticket: Ticket, settlement: Settlement) -> None:
        try:
            await self._gate.settle(ticket, settlement)
        except GateUnavailable as exc:
            # The gate comes back without this ticket, or the reaper finds its row and drops the intent.
            log.warning("ticket not settled", extra={"call_id": ticket.ask.call_id, "error": str(exc)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    decision: Retry | Park | Fail
    record: CallRecord


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
