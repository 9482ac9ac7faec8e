"""A process's concurrent calls: first come, first served, and no slot is ever lost."""

import asyncio

from core.channels import Slots


class Callers:
    """Calls that hold a slot until they are told to go."""

    def __init__(self, count: int) -> None:
        self._slots = Slots(count)
        self._over: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.inside: list[int] = []

    async def come(self, *numbers: int) -> None:
        for number in numbers:
            self._over[number] = asyncio.Event()
            self._tasks[number] = asyncio.create_task(self._call(number))
        await turns()

    async def go(self, *numbers: int) -> None:
        for number in numbers:
            self._over[number].set()
        await turns()

    def cancel(self, *numbers: int) -> None:
        for number in numbers:
            self._tasks[number].cancel()

    def tell_to_go(self, number: int) -> None:
        self._over[number].set()

    async def _call(self, number: int) -> None:
        async with self._slots:
            self.inside.append(number)
            try:
                await self._over[number].wait()
            finally:
                self.inside.remove(number)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_are_inside_than_there_are_slots_and_the_next_is_who_came_first() -> None:
    callers = Callers(2)
    await callers.come(1, 2, 3, 4)
    assert callers.inside == [1, 2]
    await callers.go(2)
    assert callers.inside == [1, 3]
    await callers.go(1, 3)
    assert callers.inside == [4]


async def test_who_comes_late_does_not_overtake_one_that_is_about_to_get_its_slot() -> None:
    callers = Callers(1)
    await callers.come(1, 2)
    callers.tell_to_go(1)
    await callers.come(3)
    assert callers.inside == [2]


async def test_who_is_cancelled_while_waiting_takes_no_slot_with_it() -> None:
    callers = Callers(1)
    await callers.come(1, 2, 3)
    callers.cancel(2)
    await callers.go(1)
    assert callers.inside == [3]
    await callers.go(3)
    await callers.come(4)
    assert callers.inside == [4]


async def test_a_slot_that_was_given_to_one_that_is_cancelled_at_that_moment_goes_on_to_the_next() -> None:
    callers = Callers(1)
    await callers.come(1, 2, 3)
    callers.tell_to_go(1)
    while callers.inside:  # noqa: ASYNC110 - until its slot is given to 2, which has not yet run
        await asyncio.sleep(0)
    callers.cancel(2)
    await turns()
    assert callers.inside == [3]
