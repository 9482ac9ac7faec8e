"""The gate's state in Redis: one Lua script, run once for all operations that wait at the same time.

While one EVALSHA is on its way, what comes meanwhile waits for the next, and a moment for more: alone an operation goes
at once, under load hundreds share a round trip. A batch that fails fails all its operations, and what it may have done
is undone by the next one that succeeds, because every operation may be repeated.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from core.errors import GateUnavailable
from core.gate.gate import LimitsOf, Op, ScriptedGate, SpentOf, intent, restore_op, unsent_op
from core.gate.rows import in_force
from core.ports import Admission, Ask, Clock, Intent, Settlement, Ticket

log = logging.getLogger(__name__)

_PARTS = ("clock", "window", "schedule", "breaker", "estimate", "provider", "lane", "budget", "admit", "settle", "main")
_PREFIX = "llmsweep:gate:"
_BATCH = 256  # operations a script: about 3 ms of the server's time
_GATHER_S = (
    0.008  # what comes while a batch is on its way waits this long for more: a round trip costs more than 20 ops
)
_TIMEOUT_S = 5.0
_LATE = 50_000  # settlements kept for a server that is away
_BEAT_S = 0.5


@cache
def script(clock: str | None = None) -> str:
    """The whole script. ``clock`` replaces clock.lua: tests bring their own time."""
    here = Path(__file__).parent
    texts = [(here / f"{part}.lua").read_text() for part in _PARTS]
    return "\n".join([clock or texts[0], *texts[1:]])


class _Waiting(NamedTuple):
    op: Op
    answer: asyncio.Future[Any]


class RedisGate(ScriptedGate):
    """One a process. Raises GateUnavailable whatever keeps the server from answering; then nothing may be sent."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        limits: LimitsOf,
        clock: Clock,
        *,
        spent: SpentOf | None = None,
        text: str | None = None,
    ) -> None:
        """``text`` is the script, if not the usual one (tests bring their own time)."""
        super().__init__(limits, clock, spent)
        self._client = client
        self._text = text or script()
        self._sha = sha1(self._text.encode(), usedforsecurity=False).hexdigest()
        self._queue: list[_Waiting] = []
        self._late: list[Op] = []  # what no server has taken yet: settlements, lost intents
        self._out: dict[int, Ticket] = {}  # given out and not settled
        self._pumping: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Tickets that this process has in hand."""
        return len(self._out)

    async def admit(self, ask: Ask) -> Admission:
        """Asks for one call. If the caller is cancelled meanwhile, the ticket goes back unsent."""
        admission = await super().admit(ask)
        if isinstance(admission, Ticket):
            self._out[ask.call_id] = admission
            self._keep()
        return admission

    async def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Ends a ticket. GateUnavailable: the settlement is told again when the server is back."""
        await super().settle(self._out.pop(ticket.ask.call_id, ticket), settlement)

    async def _intents(self, provider: str) -> Sequence[tuple[str, Intent]]:
        now, lanes = await self._run(["lanes", provider])
        found = []
        for lane in lanes:
            with _translated():
                async with asyncio.timeout(_TIMEOUT_S):
                    raw = await self._client.hvals(f"{_PREFIX}intents:{lane}")
            found += [(lane, intent(value.decode() if isinstance(value, bytes) else value, now)) for value in raw]
        return found

    async def close(self) -> None:
        """Ends the background tasks. The client belongs to the caller."""
        for task in (self._keeping, self._pumping):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])

    # -- the batch

    async def _run(self, op: Op) -> Any:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(op, loop.create_future())
        self._queue.append(waiting)
        if self._pumping is None or self._pumping.done():
            self._pumping = loop.create_task(self._pump())
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            # The answer may have come in the same moment; while it is on its way, _deliver sees the cancelled future.
            if waiting.answer.done() and not waiting.answer.cancelled() and waiting.answer.exception() is None:
                self._give_back(op, waiting.answer.result())
            raise

    async def _pump(self) -> None:
        await asyncio.sleep(0)  # all that was asked in this tick
        while self._queue:
            batch, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
            late, self._late = self._late[:_BATCH], self._late[_BATCH:]
            try:
                answers = await self._send([*late, *(waiting.op for waiting in batch)])
            except GateUnavailable as exc:
                self._failed(batch, late, exc)
            else:
                self._deliver(batch, answers[len(late) :])
            if 0 < len(self._queue) < _BATCH:
                await asyncio.sleep(_GATHER_S)  # the wire's rhythm, not the engine's time

    async def _send(self, ops: list[Op]) -> list[Any]:
        limits = {lane: self._limits(lane) for lane in {op[1] for op in ops if len(op) > 1} if isinstance(lane, str)}
        payload = orjson.dumps({"seq": self._seq, **in_force(limits), "ops": ops})
        with _translated():
            async with asyncio.timeout(_TIMEOUT_S):
                try:
                    raw = await cast("Awaitable[bytes]", self._client.evalsha(self._sha, 0, payload))
                except NoScriptError:
                    # The server is new, or its scripts were flushed.
                    raw = await cast("Awaitable[bytes]", self._client.eval(self._text, 0, payload))
        era, seq, pushed, answers = orjson.loads(raw)
        if era != self._era != 0:
            self._bring_back(era)
        self._heard(era, seq, pushed)
        return cast("list[Any]", answers)

    def _deliver(self, batch: list[_Waiting], answers: list[Any]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.cancelled():
                self._give_back(waiting.op, answer)
            else:
                waiting.answer.set_result(answer)

    def _failed(self, batch: list[_Waiting], late: list[Op], exc: GateUnavailable) -> None:
        # The script may have run all the same: what it booked is given back, what it may have missed is told again.
        again = [unsent_op(waiting.op) if waiting.op[0] == "admit" else waiting.op for waiting in batch]
        self._later([*late, *(op for op in again if op[0] == "settle")])
        for waiting in batch:
            if not waiting.answer.cancelled():
                waiting.answer.set_exception(GateUnavailable(str(exc)))

    def _give_back(self, op: Op, answer: list[Any]) -> None:
        if op[0] == "admit" and answer[0] == "ticket":
            self._later([unsent_op(op)])

    def _bring_back(self, era: int) -> None:
        log.warning("the gate lost its state, calls in flight are told again", extra={"calls": len(self._out)})
        self._out = {call_id: replace(ticket, era=era) for call_id, ticket in self._out.items()}
        self._later([restore_op(ticket) for ticket in self._out.values()])

    # -- what is told later

    def _later(self, ops: list[Op]) -> None:
        self._late = [*self._late, *ops][-_LATE:]
        self._keep()

    def _keep(self) -> None:
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        # Also how a process that only waits for its calls learns that the server has lost its intents.
        while self._out or self._late:
            await self._clock.sleep(_BEAT_S)
            with suppress(GateUnavailable):
                await self._run(["ping"])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as exc:
        raise GateUnavailable(f"gate server: {exc or type(exc).__name__}") from exc
