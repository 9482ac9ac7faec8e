"""The breaker of every gate: three failures open it, one probe closes it, old news never flip it."""

import pytest

from core.ports import Refusal, Refused, Ticket
from tests.gates import (
    World,
    an_ask,
    bad,
    good,
    granted,
    neutral,
    ticket_for,
)


async def fail(world: World, times: int, start: int = 1) -> None:
    gate = await world.gate()
    for i in range(start, start + times):
        await gate.settle(await ticket_for(world, gate, an_ask(i)), bad())


async def test_three_failures_in_a_row_open_the_breaker_for_a_minute(world: World) -> None:
    gate = await world.gate()
    await fail(world, 2)
    await gate.settle(await ticket_for(world, gate, an_ask(3)), good(1))
    await fail(world, 2, start=4)
    assert (await gate.status("p")).breaker == "closed"
    await fail(world, 1, start=6)
    refused = await gate.admit(an_ask(7))
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.BREAKER_OPEN
    assert refused.retry_in_s == pytest.approx(60, abs=2)


async def test_after_the_minute_exactly_one_call_probes_and_its_success_closes_the_breaker(world: World) -> None:
    gates = [await world.gate() for _ in range(3)]
    await fail(world, 3)
    await world.move(61)
    admissions = [await gates[i % 3].admit(an_ask(10 + i)) for i in range(9)]
    (probe,) = granted(admissions)
    assert probe.probe
    await gates[0].settle(probe, good(1))
    assert (await gates[1].status("p")).breaker == "closed"
    assert isinstance(await gates[1].admit(an_ask(50)), Ticket)


async def test_a_probe_that_fails_opens_it_for_another_minute(world: World) -> None:
    gate = await world.gate()
    await fail(world, 3)
    await world.move(61)
    await gate.settle(await ticket_for(world, gate, an_ask(10)), bad())
    await world.move(55)
    assert isinstance(await gate.admit(an_ask(11)), Refused)
    await world.move(6)
    assert isinstance(await gate.admit(an_ask(12)), Ticket)


async def test_a_probe_that_says_nothing_frees_its_place_and_a_dead_one_loses_it(world: World) -> None:
    gate = await world.gate()
    await fail(world, 3)
    await world.move(61)
    await gate.settle(await ticket_for(world, gate, an_ask(10)), neutral())
    dead = await gate.admit(an_ask(11))
    assert isinstance(dead, Ticket)
    assert isinstance(await gate.admit(an_ask(12)), Refused)
    await world.move(81)
    assert isinstance(await gate.admit(an_ask(13)), Ticket)
    await gate.settle(dead, good(1))  # too late: it is the other's probe now
    assert (await gate.status("p")).breaker == "half_open"


async def test_a_late_outcome_of_an_older_epoch_never_flips_the_breaker(world: World) -> None:
    gate = await world.gate()
    late_good, late_bad = [await ticket_for(world, gate, an_ask(i)) for i in (101, 102)]
    more_bad = [await ticket_for(world, gate, an_ask(i)) for i in (103, 104)]
    await fail(world, 3)
    await gate.settle(late_good, good(1))
    assert (await gate.status("p")).breaker == "open"
    await world.move(61)
    await gate.settle(await ticket_for(world, gate, an_ask(10)), good(1))
    for ticket in (late_bad, *more_bad):
        await gate.settle(ticket, bad())
    assert (await gate.status("p")).breaker == "closed"


async def test_a_429_says_nothing_about_the_breaker(world: World) -> None:
    gate = await world.gate()
    for i in range(1, 6):
        await gate.settle(await ticket_for(world, gate, an_ask(i)), neutral(freeze_s=0.1))
    assert (await gate.status("p")).breaker == "closed"
