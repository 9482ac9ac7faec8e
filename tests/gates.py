"""Gates on time that the test turns by hand: the twin, the script in fakeredis, and the script in a real server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import fakeredis
import pytest
import redis.asyncio

from core.gate.gate import EPOCH
from core.gate.memory import MemoryGate
from core.gate.redis import RedisGate, script
from core.gate.twin import Twin
from core.model import Modality
from core.ports import Admission, Ask, Gate, GateAdmin, Health, Limits, Settlement, Ticket, Wait

START = EPOCH + 10_000_000.0

HAND_CLOCK = """
local EPOCH = 0
local function server_time()
  return tonumber(redis.call('GET', 'test:now'))
end
"""


class HandClock:
    """Time stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = START
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        await woken

    async def move(self, seconds: float) -> None:
        self.now += seconds
        due = [woken for at, woken in self._sleepers if at <= self.now + 1e-9]
        self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self.now + 1e-9]
        for woken in due:
            if not woken.done():
                woken.set_result(None)
        await asyncio.sleep(0)


class Both(Gate, GateAdmin, Protocol):
    """A gate has both ports."""


class World(Protocol):
    """A gate, its clock, and what a test does to them."""

    limits: dict[str, Limits]
    clock: HandClock

    async def gate(self, spent: Mapping[int, float] | None = None) -> Both:
        """A process's gate; each call is another process."""
        ...

    async def move(self, seconds: float) -> None: ...

    async def lose(self) -> None:
        """The server forgets everything."""
        ...


@dataclass
class MemoryWorld:
    limits: dict[str, Limits] = field(default_factory=dict)
    clock: HandClock = field(default_factory=HandClock)
    twin: Twin = field(default_factory=Twin)
    gates: list[MemoryGate] = field(default_factory=list)

    async def gate(self, spent: Mapping[int, float] | None = None) -> MemoryGate:
        made = MemoryGate(self.limits, self.clock, spent=None if spent is None else _ledger(spent))
        made._twin = self.twin
        self.gates.append(made)
        return made

    async def move(self, seconds: float) -> None:
        await self.clock.move(seconds)

    async def lose(self) -> None:
        self.twin = Twin()
        for gate in self.gates:
            gate._twin = self.twin


@dataclass
class RedisWorld:
    client: redis.asyncio.Redis
    limits: dict[str, Limits] = field(default_factory=dict)
    clock: HandClock = field(default_factory=HandClock)
    gates: list[RedisGate] = field(default_factory=list)

    async def gate(self, spent: Mapping[int, float] | None = None) -> RedisGate:
        await self.move(0)
        ledger = None if spent is None else _ledger(spent)
        made = RedisGate(self.client, self.limits, self.clock, spent=ledger, text=script(HAND_CLOCK))
        self.gates.append(made)
        return made

    async def move(self, seconds: float) -> None:
        await self.clock.move(seconds)
        await self.client.set("test:now", f"{self.clock.now - EPOCH:.6f}")

    async def lose(self) -> None:
        await self.client.flushdb()
        await self.move(0)

    async def close(self) -> None:
        for gate in self.gates:
            await gate.close()
        await self.client.aclose()


def _ledger(spent: Mapping[int, float]) -> Any:
    async def of(sweep_id: int) -> float:
        return spent[sweep_id]

    return of


KINDS = ("memory", "fakeredis", "redis")


async def world_of(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The world of a kind, a while after the birth of its server."""
    if request.param == "memory":
        yield await _grown(MemoryWorld())
        return
    fake = request.param == "fakeredis"
    client = fake_client() if fake else redis.asyncio.Redis.from_url(request.getfixturevalue("redis_url"))
    world = RedisWorld(client)
    yield await _grown(world)
    await world.close()


async def _grown(world: World) -> World:
    world.limits["p"] = Limits(rpm=600, tpm=600_000)
    # At its birth the server cannot know that nothing is in flight.
    await (await world.gate()).status("p")
    await world.move(2)
    return world


def fake_client() -> redis.asyncio.Redis:
    return fakeredis.FakeAsyncRedis()


def an_ask(call_id: int, *, provider: str = "p", tokens: int = 100, model: str = "m", **fields: Any) -> Ask:
    """An ask of which the test names what matters."""
    rest: dict[str, Any] = {"sweep_id": 1, "owner": "me", "fingerprint": f"{call_id:x}", "modality": Modality.CHAT}
    return Ask(call_id=call_id, provider=provider, model=model, tokens=tokens, **(rest | fields))


def good(tokens: int | None = None, **fields: Any) -> Settlement:
    return Settlement(health=Health.GOOD, tokens=tokens, **fields)


def bad(**fields: Any) -> Settlement:
    return Settlement(health=Health.BAD, **fields)


def neutral(**fields: Any) -> Settlement:
    return Settlement(health=Health.NEUTRAL, **fields)


async def ticket_for(world: World, gate: Gate, ask: Ask, *, patience: int = 200) -> Ticket:
    """Asks until there is a ticket, and moves time as it is told to."""
    for _ in range(patience):
        admission = await gate.admit(ask)
        if isinstance(admission, Ticket):
            return admission
        assert isinstance(admission, Wait), admission
        await world.move(admission.seconds)
    raise AssertionError("no ticket")


def granted(admissions: list[Admission]) -> list[Ticket]:
    return [admission for admission in admissions if isinstance(admission, Ticket)]
