import asyncio

from core.company import Company
from tests.virtual import VirtualClock


async def test_many_work_side_by_side() -> None:
    company, clock = Company(), VirtualClock()
    began = clock.time()

    async def work() -> None:
        async with company.together():
            await clock.sleep(10)

    await asyncio.gather(*(work() for _ in range(5)))

    assert clock.time() - began == 10


async def test_who_is_alone_has_nobody_beside_and_newcomers_do_not_overtake_it() -> None:
    company, clock = Company(), VirtualClock()
    story: list[str] = []

    async def work(name: str, after_s: float) -> None:
        await clock.sleep(after_s)
        async with company.together():
            story.append(f"{name} comes")
            await clock.sleep(10)
            story.append(f"{name} goes")

    async def alone() -> None:
        await clock.sleep(1)
        async with company.alone():
            story.append("alone")
            await clock.sleep(10)
            story.append("done")

    await asyncio.gather(work("first", 0), alone(), work("late", 2))

    assert story == ["first comes", "first goes", "alone", "done", "late comes", "late goes"]


async def test_two_loners_are_alone_one_after_the_other() -> None:
    company, clock = Company(), VirtualClock()
    inside = 0
    most = 0

    async def alone() -> None:
        nonlocal inside, most
        async with company.alone():
            inside += 1
            most = max(most, inside)
            await clock.sleep(1)
            inside -= 1

    await asyncio.gather(*(alone() for _ in range(4)))

    assert most == 1


async def test_a_cancelled_loner_lets_the_others_in() -> None:
    company, clock = Company(), VirtualClock()

    async def alone() -> None:
        async with company.alone():
            await clock.sleep(1000)

    loner = asyncio.create_task(alone())
    await clock.sleep(1)
    loner.cancel()
    await asyncio.gather(loner, return_exceptions=True)

    async with asyncio.timeout(5), company.together():
        pass
