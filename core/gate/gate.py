"""What every gate does whatever holds its state: asks become operations, answers become values.

The state machine itself is `*.lua` (see `redis.py`) and, line by line the same, `twin.py` (see `memory.py`).
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from core.gate.rows import ROWS, by_headers, told
from core.model import Modality
from core.ports import (
    Admission,
    Ask,
    Clock,
    GateStatus,
    Intent,
    Limits,
    Refusal,
    Refused,
    Settlement,
    Ticket,
    Wait,
)

LimitsOf: TypeAlias = Callable[[str], Limits] | Mapping[str, Limits]
SpentOf: TypeAlias = Callable[[int], Awaitable[float]]
Op: TypeAlias = list[Any]  # as the script's files describe them

BUDGET_UNKNOWN = "budget unknown"
"""The reason of a Wait: tell the ledger's sum by ``set_spent``, then ask again."""

EPOCH = 1_750_000_000  # as in clock.lua

_NANO = 1_000_000_000
_DUST = 0.0005  # a float's own, and no money: 0.1 USD is 10^8 nano-dollars, not one more
_FOR_ALL = frozenset({"quota", "quota of the day", "calls in flight"})  # reasons that are the provider's, not a sweep's
_ROWS = {row.name: list(row) for row in ROWS}
_PLACES = 20_000  # waiting calls whose place in the line is remembered


class ScriptedGate(ABC):
    """The gate's port over one method that runs an operation on the state."""

    def __init__(self, limits: LimitsOf, clock: Clock, spent: SpentOf | None = None) -> None:
        """``spent`` gives a sweep's spent USD by the ledger; without it, ``admit`` answers Wait(BUDGET_UNKNOWN)."""
        self._limits_of = limits
        self._clock = clock
        self._spent = spent
        self._places: dict[int, float] = {}
        self._pushed: dict[str, float] = {}
        self._era = 0
        self._seq = 0

    @abstractmethod
    async def _run(self, op: Op) -> Any:
        """Runs one operation; raises GateUnavailable."""

    @abstractmethod
    async def _intents(self, provider: str) -> Sequence[tuple[str, Intent]]:
        """Calls that were admitted and not yet settled, each with its lane."""

    async def intents(self, provider: str) -> Sequence[Intent]:
        """Calls that were admitted and not yet settled, of all processes."""
        return [found for _, found in await self._intents(provider)]

    async def admit(self, ask: Ask) -> Admission:
        """Asks for one call. Never sleeps."""
        op = self._admit_op(ask)  # here and not in a coroutine of its own: every call goes through it
        admission = self._admission(ask, op[1], await self._run(op))
        if self._spent is None or not isinstance(admission, Wait) or admission.reason != BUDGET_UNKNOWN:
            return admission
        await self.set_spent(ask.sweep_id, await self._spent(ask.sweep_id))
        op = self._admit_op(ask)
        return self._admission(ask, op[1], await self._run(op))

    async def turn(self, ticket: Ticket) -> None:
        """Sleeps until the ticket's call may go, behind any freeze that this process has heard of meanwhile."""
        known, wait = ticket.pushed, ticket.delay_s
        while wait > 0:
            await self._clock.sleep(wait)
            pushed = self._pushed.get(_lane(ticket), known)
            known, wait = pushed, pushed - known

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Ends a ticket; the second time it changes nothing."""
        await self._run(settle_op(ticket, settlement))

    async def forget(self, provider: str, call_ids: Sequence[int]) -> None:
        """Drops intents; what they had reserved counts as spent."""
        if not call_ids:
            return
        known = {found.ask.call_id: (lane, found.ask.sweep_id) for lane, found in await self._intents(provider)}
        await asyncio.gather(
            *(
                self._run(["forget", known[call_id][0], call_id, known[call_id][1]])
                for call_id in call_ids
                if call_id in known
            )
        )

    async def set_spent(self, sweep_id: int, usd: float) -> None:
        """The ledger's sum. Never lowers what the gate knows."""
        await self._run(["set_spent", sweep_id, nano(usd)])

    async def status(self, provider: str) -> GateStatus:
        """The provider's gate at a glance."""
        breaker, requests, tokens, in_flight, frozen, hints = await self._run(["status", provider])
        return GateStatus(
            breaker=breaker,
            rpm_used=round(requests),
            tpm_used=round(tokens),
            in_flight=int(in_flight),
            frozen_s=frozen,
            told=by_headers(hints),
        )

    def _limits(self, lane: str) -> list[int]:
        provider, _, model = lane.partition("/")
        found = self._of(provider)
        return told(found.models.get(model, found))

    def _of(self, provider: str) -> Limits:
        return self._limits_of(provider) if callable(self._limits_of) else self._limits_of.get(provider, Limits())

    def _admit_op(self, ask: Ask) -> Op:
        own = ask.model in self._of(ask.provider).models
        tokens = max(0, ask.tokens)
        return [
            "admit",
            f"{ask.provider}/{ask.model}" if own else ask.provider,
            ask.call_id,
            _learned_by(ask),
            tokens,
            ask.sweep_id,
            nano(ask.worst_usd),
            nano(ask.budget_usd, up=False),
            self._places.get(ask.call_id, 0),
            _dump(ask),
            min(ask.output_tokens, tokens) if ask.output_tokens > 0 else 0,
        ]

    def _admission(self, ask: Ask, lane: str, answer: list[Any]) -> Admission:
        place = self._places.pop(ask.call_id, 0.0)
        match answer:
            case ["ticket", delay, slot, tokens, epoch, probe, pushed]:
                return Ticket(
                    ask=ask,
                    delay_s=delay,
                    slot=int(slot),
                    tokens=int(tokens),
                    epoch=int(epoch),
                    probe=probe,
                    era=self._era,
                    pushed=pushed,
                    lane=lane,
                )
            case ["wait", seconds, reason, at]:
                if (at or place) and len(self._places) < _PLACES:
                    self._places[ask.call_id] = at or place
                return Wait(seconds=seconds, reason=reason, alone=reason not in _FOR_ALL)
            case ["refused", reason, detail, again]:
                return Refused(reason=Refusal(reason), detail=detail, retry_in_s=None if again < 0 else again)
        raise AssertionError(answer)

    def _heard(self, era: int, seq: int, pushed: list[list[Any]]) -> None:
        self._era, self._seq = era, max(seq, self._seq)
        for lane, sum_s in pushed:
            self._pushed[lane] = sum_s


def settle_op(ticket: Ticket, settlement: Settlement) -> Op:
    """The operation that ends a ticket."""
    ask = ticket.ask
    hints = [
        [
            _ROWS[hint.dimension],
            hint.limit,
            -1 if hint.remaining is None else hint.remaining,
            hint.reset_s or 0,
        ]
        for hint in settlement.limits
        if hint.dimension in _ROWS and hint.limit > 0
    ]
    return [
        "settle",
        _lane(ticket),
        ask.call_id,
        _learned_by(ask),
        ask.sweep_id,
        ticket.epoch,
        ticket.era,
        settlement.health.value,
        settlement.sent,
        -1 if settlement.tokens is None else settlement.tokens,
        nano(settlement.cost_usd),
        _counted(ask),
        -1 if settlement.freeze_s is None else settlement.freeze_s,
        hints,
        -1 if settlement.input_tokens is None else settlement.input_tokens,
        -1 if settlement.output_tokens is None else settlement.output_tokens,
    ]


def unsent_op(admit: Op) -> Op:
    """The operation that gives back what an admit has booked for nobody."""
    _, lane, call_id, model, _, sweep_id, *_ = admit
    return ["settle", lane, call_id, model, sweep_id, 0, 0, "neutral", False, -1, 0, -1, -1, [], -1, -1]


def restore_op(ticket: Ticket) -> Op:
    """The operation that brings an intent back after the state was lost."""
    ask = ticket.ask
    worst = _counted(ask)
    intent = f"{ticket.slot} {ticket.tokens} {worst} {ask.tokens} {_dump(ask)}"
    return ["restore", _lane(ticket), ask.call_id, ask.sweep_id, worst, intent]


def _lane(ticket: Ticket) -> str:
    return ticket.lane or ticket.ask.provider


def _learned_by(ask: Ask) -> str:
    return f"{ask.model} {ask.template}"


def _counted(ask: Ask) -> int:
    # Without a cap or a price nothing is reserved.
    return -1 if ask.worst_usd is None or ask.budget_usd is None else nano(ask.worst_usd)


def _dump(ask: Ask) -> str:
    return orjson.dumps(ask).decode()


def nano(usd: float | None, *, up: bool = True) -> int:
    """Whole nano-dollars, rounded up (a cap: down); None is -1."""
    if usd is None:
        return -1
    exact = usd * _NANO
    whole = round(exact)
    if abs(exact - whole) < _DUST:
        return whole
    return math.ceil(exact) if up else math.floor(exact)


def intent(raw: str, now: float) -> Intent:
    """An intent as `admit.lua` wrote it: admit time, slot, tokens, worst case, estimate, the ask."""
    admitted, _, _, _, _, ask = raw.split(" ", 5)
    fields = orjson.loads(ask)
    fields["modality"] = Modality(fields["modality"])
    return Intent(ask=Ask(**fields), age_s=max(0.0, now - float(admitted)))
