"""A call's way in: its id, what it asks for, its place in the line, the gate, and the wait for its turn."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

from core import parcels
from core.channels import Channel
from core.errors import GateUnavailable, LedgerUnavailable
from core.fingerprint import batch_fingerprint
from core.heartbeat import Hold
from core.line import Line
from core.model import ChatRequest, Request
from core.parcels import Closed, Halted, NotCalled, Parcel, Parked
from core.ports import Admission, Ask, Clock, Gate, Health, Ledger, Meter, Refused, Settlement, Ticket, Wait
from core.recorder import Recorder
from core.together import patiently

log = logging.getLogger(__name__)

_GATE_AWAY_S = 0.5
_UNSURE_S = 0.1  # between looks whether the heartbeat has saved a lease
_ID_BLOCK = 256
_FIRST_GUESS = 256  # completion tokens; the gate learns per template and model how wrong it is


class Entrance:
    """Gets tickets, and gives them back. One a process."""

    def __init__(
        self,
        *,
        gate: Gate,
        ledger: Ledger,
        recorder: Recorder,
        meter: Meter,
        channels: Callable[[str], Channel],
        clock: Clock,
        owner: str,
    ) -> None:
        self._gate = gate
        self._ledger = ledger
        self._recorder = recorder
        self._meter = meter
        self._channels = channels
        self._clock = clock
        self._owner = owner
        self._ids: list[int] = []
        self._fetching = asyncio.Lock()  # a thousand calls that begin at once share a few blocks of ids
        self._lines: defaultdict[str, Line] = defaultdict(Line)

    async def ticket(self, parcel: Parcel, hold: Hold) -> Ticket | NotCalled | Parked | Closed | Halted:
        """The right to send the parcel now, or why it may not be sent."""
        try:
            ask = await self._ask(parcel, hold)
        except LedgerUnavailable:
            return Halted()
        line = self._lines[ask.provider]
        while hold.stop is None:
            if not await line.enter(hold):
                break
            try:
                admission = await self._answer(ask, hold, line)
            finally:
                line.leave()
            match admission:
                case Ticket() as ticket:
                    if await self._due(ticket, hold):
                        return ticket
                case Wait(seconds=seconds):
                    await self._clock.sleep(seconds)
                case Refused() as refused:
                    return parcels.refusal(refused)
        return Halted()

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Ends a ticket."""
        try:
            await self._gate.settle(ticket, settlement)
        except GateUnavailable as exc:
            # The gate comes back without this ticket, or the reaper finds its row and drops the intent.
            log.warning("ticket not settled", extra={"call_id": ticket.ask.call_id, "error": str(exc)})

    async def _answer(self, ask: Ask, hold: Hold, line: Line) -> Admission | None:
        """Asks until the gate has answered for this call alone. None: the hold was stopped."""
        while hold.stop is None:
            if not self._is_sure(hold):
                await self._clock.sleep(_UNSURE_S)
                continue
            slots = self._channels(ask.provider).slots.count
            if not self._recorder.is_ready(slots):
                await self._recorder.ready(slots)
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
            await self.settle(ticket, Settlement(health=Health.NEUTRAL, sent=False))
            raise
        if hold.stop is None and self._is_sure(hold):
            return True
        await self.settle(ticket, Settlement(health=Health.NEUTRAL, sent=False))
        return False

    def _is_sure(self, hold: Hold) -> bool:
        return self._clock.monotonic() < hold.sure_until

    async def _ask(self, parcel: Parcel, hold: Hold) -> Ask:
        first = parcel.requests[0]
        exact = hold.lease.budget_usd is not None or self._channels(first.provider).counts_tokens
        size, most, worst_usd = self._worst_case(parcel.requests, exact=exact)
        output = min(_FIRST_GUESS * isinstance(first, ChatRequest), max(0, most - size))
        return Ask(
            call_id=await self._next_id(hold),
            provider=first.provider,
            model=first.model,
            sweep_id=hold.lease.ref.sweep_id,
            owner=self._owner,
            fingerprint=batch_fingerprint(list(parcel.fingerprints)),
            modality=first.modality,
            tokens=min(size + output, most),
            output_tokens=output,
            worst_usd=worst_usd,
            budget_usd=hold.lease.budget_usd,
            template=first.version,
        )

    def _worst_case(self, requests: Sequence[Request], *, exact: bool) -> tuple[int, int, float | None]:
        """Prompt tokens, and the most tokens and USD that the call can cost; None: nobody knows a price."""
        size = most = 0
        usd: float | None = 0.0
        for request in requests:
            prompt = self._meter.prompt_tokens(request, exact=exact)
            tokens, price = self._meter.worst_case(request, prompt)
            size += prompt
            most += tokens
            usd = None if usd is None or price is None else usd + price
        return size, most, usd

    async def _next_id(self, hold: Hold) -> int:
        while not self._ids:
            async with self._fetching:
                if not self._ids:
                    fresh = await patiently(
                        self._clock, lambda: self._ledger.call_ids(_ID_BLOCK), lambda: hold.stop is not None
                    )
                    self._ids = list(fresh)[::-1]
        return self._ids.pop()
