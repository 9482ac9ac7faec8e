"""Intents and budgets of every gate, and what becomes of them when its state is lost."""

import asyncio

import pytest

from core.ports import Admission, Limits, Refusal, Refused, Ticket, Wait
from tests.gates import (
    World,
    an_ask,
    bad,
    good,
    granted,
    neutral,
    ticket_for,
)


async def test_a_call_is_an_intent_from_its_admission_until_it_is_settled(world: World) -> None:
    gate = await world.gate()
    ask = an_ask(7, worst_usd=0.25, budget_usd=None)
    ticket = await ticket_for(world, gate, ask)
    await world.move(3)
    (intent,) = await gate.intents("p")
    assert (intent.ask, round(intent.age_s)) == (ask, 3)
    await gate.settle(ticket, good(10))
    assert await gate.intents("p") == []


async def test_settling_twice_or_after_forgetting_changes_nothing(world: World) -> None:
    gate = await world.gate({1: 0.0})
    ticket = await ticket_for(world, gate, an_ask(1, worst_usd=1.0, budget_usd=10.0))
    other = await ticket_for(world, gate, an_ask(2, worst_usd=1.0, budget_usd=10.0))
    await gate.settle(ticket, good(50, cost_usd=0.5))
    await gate.forget("p", [2])
    before = await gate.status("p")
    await gate.settle(ticket, good(5000, cost_usd=0.5))
    await gate.settle(other, bad(cost_usd=0.1))
    assert await gate.status("p") == before
    assert await spendable(world, 10.0) == pytest.approx(8.5)


async def spendable(world: World, cap: float) -> float:
    """What the sweep may still spend, found by asking."""
    gate = await world.gate()
    low, high = 0.0, cap
    for number in range(40):
        middle = (low + high) / 2
        admission = await gate.admit(an_ask(10**9 + number, provider="purse", worst_usd=middle, budget_usd=cap))
        if isinstance(admission, Ticket):
            await gate.settle(admission, neutral(sent=False))
            low = middle
        else:
            high = middle
        await world.move(1)
    return low


async def test_a_budget_is_never_overshot_however_many_ask_at_once(world: World) -> None:
    world.limits["p"] = Limits(rpm=600_000)
    gates = [await world.gate({1: 0.0}) for _ in range(3)]
    asks = [an_ask(i, worst_usd=0.1, budget_usd=1.0) for i in range(1, 40)]
    admissions = list(await asyncio.gather(*(gates[i % 3].admit(ask) for i, ask in enumerate(asks))))
    assert len(granted(admissions)) == 10
    assert all(isinstance(a, Wait) for a in admissions if not isinstance(a, Ticket))  # the ten may cost less


async def test_a_settled_call_gives_back_what_it_did_not_cost_and_a_spent_budget_refuses(world: World) -> None:
    gate = await world.gate({1: 0.0})

    async def admit(call_id: int, cap: float) -> Admission:
        return await gate.admit(an_ask(call_id, worst_usd=0.5, budget_usd=cap))

    first, second = await admit(1, 1.0), await admit(2, 1.0)
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert isinstance(await admit(3, 1.0), Wait)
    await gate.settle(first, good(1, cost_usd=0.3))
    await gate.settle(second, good(1))  # cost unknown: the reservation stays spent
    refused = await admit(4, 1.0)
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.BUDGET
    assert isinstance(await admit(5, 2.0), Ticket)  # the cap was raised


async def test_without_a_price_or_a_cap_money_is_not_counted(world: World) -> None:
    gate = await world.gate()
    assert isinstance(await gate.admit(an_ask(1, worst_usd=None, budget_usd=1.0)), Ticket)
    assert isinstance(await gate.admit(an_ask(2, worst_usd=5.0, budget_usd=None)), Ticket)


async def test_the_gate_asks_for_the_ledgers_sum_before_it_spends_and_never_lowers_its_own(world: World) -> None:
    gate = await world.gate()
    ask = an_ask(1, worst_usd=0.1, budget_usd=1.0)
    unknown = await gate.admit(ask)
    assert isinstance(unknown, Wait)
    assert unknown.reason == "budget unknown"
    await gate.set_spent(1, 0.95)
    await gate.set_spent(1, 0.0)
    assert isinstance(await gate.admit(ask), Refused)


async def test_a_nano_dollar_too_much_is_too_much_and_an_exact_fit_fits(world: World) -> None:
    gate = await world.gate({1: 0.0})
    assert isinstance(await gate.admit(an_ask(1, worst_usd=0.3, budget_usd=0.3)), Ticket)
    assert not isinstance(await gate.admit(an_ask(2, worst_usd=1e-9, budget_usd=0.3)), Ticket)


async def test_money_waits_for_a_moment_when_the_server_is_found_empty(world: World) -> None:
    await world.lose()
    gate = await world.gate({1: 0.0})
    ask = an_ask(1, worst_usd=0.1, budget_usd=1.0)
    early = await gate.admit(ask)
    assert isinstance(early, Wait)
    await world.move(early.seconds)
    assert isinstance(await gate.admit(ask), Ticket)


async def test_after_its_state_was_lost_the_gate_books_nothing_while_older_tickets_may_still_go(world: World) -> None:
    gate = await world.gate()
    before = granted([await gate.admit(an_ask(i)) for i in range(1, 30)])
    last = max(ticket.delay_s for ticket in before)
    await world.lose()
    after = granted([await gate.admit(an_ask(i)) for i in range(30, 60)])
    assert all(ticket.delay_s >= last - 0.1 for ticket in after)


async def test_after_its_state_was_lost_a_budget_is_unknown_until_the_ledger_has_told_it(world: World) -> None:
    gate = await world.gate()
    await gate.set_spent(1, 0.0)
    assert isinstance(await gate.admit(an_ask(1, worst_usd=0.1, budget_usd=1.0)), Ticket)
    await world.lose()
    assert isinstance(await gate.admit(an_ask(2, worst_usd=0.1, budget_usd=1.0)), Wait)
    await world.move(4)
    unknown = await gate.admit(an_ask(2, worst_usd=0.1, budget_usd=1.0))
    assert isinstance(unknown, Wait)
    assert unknown.reason == "budget unknown"
    await gate.set_spent(1, 0.5)
    assert isinstance(await gate.admit(an_ask(2, worst_usd=0.1, budget_usd=1.0)), Ticket)


async def test_what_was_in_flight_when_the_state_was_lost_is_paid_for_all_the_same(world: World) -> None:
    gate = await world.gate()
    await gate.set_spent(1, 0.0)
    ticket = await ticket_for(world, gate, an_ask(1, worst_usd=0.6, budget_usd=1.0))
    await world.lose()
    await gate.admit(an_ask(99))
    await gate.settle(ticket, good(1, cost_usd=0.6))
    await world.move(4)
    await gate.set_spent(1, 0.0)  # the ledger's sum was read before the call was committed
    assert isinstance(await gate.admit(an_ask(2, worst_usd=0.5, budget_usd=1.0)), Refused)
