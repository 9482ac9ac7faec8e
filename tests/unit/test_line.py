"""A process's calls before a gate: a few ask, in the order in which they came, and nobody waits for nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.heartbeat import Hold, Stop
from core.line import Line
from core.model import ChunkRef, Lease, Variant
from core.ports import Ticket, Wait
from tests.gates import an_ask

TICKET = Ticket(ask=an_ask(1), delay_s=0.0, slot=1, tokens=1, epoch=1)
FULL = Wait(seconds=1.0, reason="quota")
NO_MONEY = Wait(seconds=1.0, reason="budget unknown", alone=True)


def a_hold() -> Hold:
    variant = Variant(provider="openai", model="m")
    ref = ChunkRef(sweep_id=1, no=0)
    return Hold(lease=Lease(ref=ref, owner="me", fence=1, kind="toy", sweep_name="s", group_id=1, variant=variant))


class Crowd:
    """Calls that stand in one line; ``asking`` tells who is at its head, in order of coming there."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.asking: list[int] = []
        self.ended: list[int] = []
        self._leave: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def come(self, *numbers: int, hold: Hold | None = None) -> None:
        for number in numbers:
            self._leave[number] = asyncio.Event()
            self.tasks[number] = asyncio.create_task(self._stand(number, hold or a_hold()))
        await settle()

    async def go(self, number: int) -> None:
        self._leave[number].set()
        await settle()

    async def cancel(self, number: int) -> None:
        self.tasks[number].cancel()
        await settle()

    async def _stand(self, number: int, hold: Hold) -> None:
        if await self.line.enter(hold):
            try:
                self.asking.append(number)
                await self._leave[number].wait()
            finally:
                self.line.leave()
        self.ended.append(number)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    made = Crowd(Line())
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_only_the_first_few_ask_and_the_next_follow_in_their_order(crowd: Crowd) -> None:
    await crowd.come(*range(20))
    assert crowd.asking == list(range(8))

    await crowd.go(3)
    await crowd.go(0)

    assert crowd.asking == list(range(10))
    assert crowd.ended == [3, 0]


async def test_every_ticket_lets_one_more_ask_and_a_wait_ends_that(crowd: Crowd) -> None:
    await crowd.come(*range(20))

    crowd.line.heard(TICKET)
    await settle()
    assert crowd.asking == list(range(9))

    crowd.line.heard(FULL)
    await crowd.go(0)
    assert crowd.asking == list(range(9))
    await crowd.go(1)
    assert crowd.asking == list(range(10))


async def test_a_sweep_that_waits_for_its_money_does_not_narrow_the_line_for_others(crowd: Crowd) -> None:
    for _ in range(4):
        crowd.line.heard(TICKET)
    crowd.line.heard(NO_MONEY)

    await crowd.come(*range(20))

    assert crowd.asking == list(range(8 + 4))


async def test_a_stopped_hold_leaves_the_line_at_once_and_costs_nobody_a_place(crowd: Crowd) -> None:
    stopped = a_hold()
    await crowd.come(*range(8))
    await crowd.come(8, 9, hold=stopped)
    await crowd.come(10)

    stopped.halt(Stop.SWEEP)
    await settle()
    assert sorted(crowd.ended) == [8, 9]

    await crowd.go(0)
    assert crowd.asking == [*range(8), 10]


async def test_a_cancelled_call_gives_its_place_to_the_next(crowd: Crowd) -> None:
    await crowd.come(*range(11))

    await crowd.cancel(8)
    await crowd.cancel(2)
    assert crowd.asking == [*range(8), 9]

    crowd._leave[0].set()
    await asyncio.sleep(0)
    await crowd.cancel(10)  # in the moment in which its turn comes
    await crowd.come(11)
    assert crowd.asking == [*range(8), 9, 11]
