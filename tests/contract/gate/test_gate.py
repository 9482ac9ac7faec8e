"""What every gate promises, on time that the tests turn. The twin and the script pass the same sentences."""

import asyncio
import heapq
import itertools
import random

import pytest

from core.model import LimitHint
from core.ports import Limits, Refusal, Refused, Ticket, Wait
from tests.gates import (
    World,
    an_ask,
    good,
    granted,
    neutral,
    ticket_for,
)


async def test_calls_are_booked_ahead_at_the_distance_that_the_limit_asks_for(world: World) -> None:
    gate = await world.gate()
    tickets = granted(await asyncio.gather(*(gate.admit(an_ask(i)) for i in range(1, 13))))
    delays = sorted(ticket.delay_s for ticket in tickets)
    assert len(delays) == 12
    assert all(b - a == pytest.approx(0.101, abs=0.001) for a, b in itertools.pairwise(delays[3:]))


async def test_who_would_wait_longer_than_the_horizon_books_nothing_and_is_told_when_to_come_back(world: World) -> None:
    gate = await world.gate()
    admissions = await asyncio.gather(*(gate.admit(an_ask(i)) for i in range(1, 51)))
    waits = [admission.seconds for admission in admissions if isinstance(admission, Wait)]
    assert len(granted(admissions)) + len(waits) == 50
    assert len(granted(admissions)) < 20
    assert (await gate.status("p")).in_flight == len(granted(admissions))
    assert len({round(seconds, 3) for seconds in waits}) == len(waits)  # they do not come back all at once


async def test_waiters_are_served_about_in_the_order_in_which_they_came(world: World) -> None:
    gate = await world.gate()
    line = [(world.clock.now, i) for i in range(1, 61)]
    served: list[tuple[float, int]] = []
    while line:
        at, call_id = heapq.heappop(line)
        await world.move(max(0.0, at - world.clock.now))
        admission = await gate.admit(an_ask(call_id))
        if isinstance(admission, Wait):
            heapq.heappush(line, (world.clock.now + admission.seconds, call_id))
        else:
            assert isinstance(admission, Ticket)
            served.append((world.clock.now + admission.delay_s, call_id))
    places = {call_id: place for place, (_, call_id) in enumerate(sorted(served), 1)}
    assert max(abs(place - call_id) for call_id, place in places.items()) <= 5


async def test_places_of_the_dead_cost_nothing(world: World) -> None:
    gate = await world.gate()
    await asyncio.gather(*(gate.admit(an_ask(i)) for i in range(1, 400)))  # most are told to wait, and never return
    await world.move(3)
    assert isinstance(await gate.admit(an_ask(1000)), Ticket)


async def test_a_request_above_the_limit_itself_is_refused_at_once(world: World) -> None:
    gate = await world.gate()
    refused = await gate.admit(an_ask(1, tokens=600_001))
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.TOO_LARGE
    assert refused.retry_in_s is None
    assert isinstance(await gate.admit(an_ask(2, tokens=600_000)), Ticket)


async def test_no_booking_is_above_the_limit_whatever_the_estimates_taught(world: World) -> None:
    gate = await world.gate()
    await gate.settle(await ticket_for(world, gate, an_ask(1, tokens=10)), good(10_000))
    ticket = await ticket_for(world, gate, an_ask(2, tokens=500_000))
    assert ticket.tokens == 600_000


async def test_an_overrun_is_debited_at_once(world: World) -> None:
    world.limits["p"] = Limits(tpm=60_000)
    gate = await world.gate()
    ticket = await ticket_for(world, gate, an_ask(1, tokens=100))
    await gate.settle(ticket, good(3100))  # three seconds of quota
    assert isinstance(await gate.admit(an_ask(2, tokens=100, model="other")), Wait)
    assert (await gate.status("p")).tpm_used == 3100


async def test_quota_that_nobody_used_is_gone_and_not_handed_out_later(world: World) -> None:
    world.limits["p"] = Limits(tpm=60_000)
    gate = await world.gate()
    ticket = await ticket_for(world, gate, an_ask(1, tokens=30_000))
    await world.move(60)
    await gate.settle(await ticket_for(world, gate, an_ask(2, tokens=100)), good(100))
    await gate.settle(ticket, good(1))
    tickets = granted([await gate.admit(an_ask(i, tokens=1000, model=f"m{i}")) for i in range(3, 9)])
    assert len(tickets) <= 2


async def test_a_ticket_that_was_never_used_gives_its_quota_back(world: World) -> None:
    gate = await world.gate()
    first = await ticket_for(world, gate, an_ask(1, tokens=60_000))
    await gate.settle(first, neutral(sent=False))
    status = await gate.status("p")
    assert (status.rpm_used, status.tpm_used, status.in_flight) == (0, 0, 0)


async def test_a_key_without_limits_is_not_slowed_down_once_it_is_warm(world: World) -> None:
    gate = await world.gate()
    most = 0
    for turn in range(40):
        asks = [an_ask(1000 * turn + i, provider="free") for i in range(100)]
        tickets = granted(list(await asyncio.gather(*(gate.admit(ask) for ask in asks))))
        assert all(ticket.delay_s == 0 for ticket in tickets)
        await world.move(0.2)
        await asyncio.gather(*(gate.settle(ticket, good(100)) for ticket in tickets))
        most = max(most, len(tickets))
    assert most == 100


async def test_a_burst_of_429s_makes_the_learned_concurrency_smaller_once_a_cooldown(world: World) -> None:
    gate = await world.gate()
    tickets = granted([await gate.admit(an_ask(i, provider="free")) for i in range(20)])
    assert len(tickets) == 16
    for ticket in tickets:
        await gate.settle(ticket, neutral(freeze_s=0.1))
    await world.move(1)
    assert len(granted([await gate.admit(an_ask(100 + i, provider="free")) for i in range(20)])) in {9, 10, 11}


async def test_calls_in_flight_are_bounded_where_the_settings_say_so(world: World) -> None:
    world.limits["p"] = Limits(rpm=60_000, in_flight=3)
    gate = await world.gate()
    tickets = granted([await gate.admit(an_ask(i)) for i in range(6)])
    assert len(tickets) == 3
    await gate.settle(tickets[0], good(10))
    assert isinstance(await gate.admit(an_ask(10)), Ticket)


async def test_a_429_holds_everybody_until_its_time_is_over(world: World) -> None:
    gate, other = await world.gate(), await world.gate()
    await gate.settle(await ticket_for(world, gate, an_ask(1)), neutral(freeze_s=30))
    held = await other.admit(an_ask(2))
    assert isinstance(held, Wait)
    assert (await other.status("p")).frozen_s == pytest.approx(30, abs=0.01)
    await world.move(29)
    ticket = await ticket_for(world, other, an_ask(3))
    assert world.clock.now + ticket.delay_s >= 1 + (await other.status("p")).frozen_s


async def test_booked_tickets_move_behind_a_freeze_in_their_order(world: World) -> None:
    gate = await world.gate()
    first, *_ = [await gate.admit(an_ask(i)) for i in range(6, 12)]
    assert isinstance(first, Ticket)
    booked = granted([await gate.admit(an_ask(i)) for i in range(2, 6)])
    began, went = world.clock.now, list[tuple[float, int]]()

    async def go(ticket: Ticket) -> None:
        await gate.turn(ticket)
        went.append((world.clock.now - began, ticket.ask.call_id))

    tasks = [asyncio.create_task(go(ticket)) for ticket in booked]
    await asyncio.sleep(0)
    await gate.settle(first, neutral(freeze_s=5))
    for _ in range(600):
        await world.move(0.01)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert [call_id for _, call_id in went] == [2, 3, 4, 5]
    assert min(at for at, _ in went) >= 5
    assert max(at for at, _ in went) - min(at for at, _ in went) >= 0.25


async def test_limits_come_from_headers_where_the_settings_tell_none(world: World) -> None:
    world.limits["p"] = Limits()
    gate = await world.gate()
    hints = (LimitHint(dimension="requests", limit=60),)
    await gate.settle(await ticket_for(world, gate, an_ask(1)), good(10, limits=hints))
    assert len(granted([await gate.admit(an_ask(i)) for i in range(2, 30)])) <= 2
    assert (await gate.status("p")).told == Limits(rpm=60)


async def test_a_limit_that_good_answers_tell_no_more_is_forgotten_a_minute_later(world: World) -> None:
    gate = await world.gate()
    hints = (LimitHint(dimension="requests", limit=6),)
    await gate.settle(await ticket_for(world, gate, an_ask(1)), good(10, limits=hints))
    await world.move(30)
    await gate.settle(await ticket_for(world, gate, an_ask(2)), good(10))
    assert not granted([await gate.admit(an_ask(3))])
    await world.move(40)
    await gate.settle(await ticket_for(world, gate, an_ask(4)), good(10))
    await world.move(10)  # what was booked at the old pace is paid off
    assert len(granted([await gate.admit(an_ask(i)) for i in range(5, 10)])) == 5


async def test_a_limit_that_drops_during_a_freeze_does_not_stretch_it(world: World) -> None:
    gate = await world.gate()
    late = await ticket_for(world, gate, an_ask(1))
    await gate.settle(await ticket_for(world, gate, an_ask(2)), neutral(freeze_s=60))
    await gate.settle(late, good(10, limits=(LimitHint(dimension="requests", limit=60),)))
    await world.move(63)
    assert isinstance(await gate.admit(an_ask(3)), Ticket)


async def test_429s_before_a_limit_was_known_say_nothing_of_it(world: World) -> None:
    gate = await world.gate()
    asks = [an_ask(i, provider="free") for i in range(8)]
    first, *others = granted([await gate.admit(ask) for ask in asks])
    for ticket in others[:2]:
        await gate.settle(ticket, neutral(freeze_s=0))
    await gate.settle(first, good(10, limits=(LimitHint(dimension="requests", limit=600),)))
    await world.move(6)
    for number in range(100, 106):
        health = neutral(freeze_s=0) if number == 105 else good(10)
        await gate.settle(await ticket_for(world, gate, an_ask(number, provider="free")), health)
        await world.move(0.1)
    tickets = granted([await gate.admit(an_ask(200 + i, provider="free")) for i in range(20)])
    assert tickets[-1].delay_s - tickets[-2].delay_s == pytest.approx(0.1 / 0.99, rel=0.01)


async def test_the_lower_of_settings_and_headers_is_in_force_and_a_recovery_is_followed(world: World) -> None:
    gate = await world.gate()

    async def tell(call_id: int, limit: int) -> None:
        hints = (LimitHint(dimension="requests", limit=limit),)
        await gate.settle(await ticket_for(world, gate, an_ask(call_id)), good(10, limits=hints))

    async def rate() -> float:
        await world.move(5)
        first = random.randrange(10**6, 10**9)
        tickets = granted([await gate.admit(an_ask(first + i)) for i in range(20)])
        return 1 / (tickets[-1].delay_s - tickets[-2].delay_s)

    await tell(1, 60_000)
    assert await rate() == pytest.approx(600 / 60 * 0.99, rel=0.01)
    await tell(2, 180)
    assert await rate() == pytest.approx(180 / 60 * 0.99, rel=0.01)
    await tell(3, 60_000)
    assert await rate() == pytest.approx(600 / 60 * 0.99, rel=0.01)


async def test_a_header_of_an_older_call_is_old_news(world: World) -> None:
    gate = await world.gate()
    old = await ticket_for(world, gate, an_ask(1))
    await world.move(5)
    new = await ticket_for(world, gate, an_ask(2))
    await gate.settle(new, good(10, limits=(LimitHint(dimension="requests", limit=60),)))
    await gate.settle(old, good(10, limits=(LimitHint(dimension="requests", limit=600),)))
    assert len(granted([await gate.admit(an_ask(i)) for i in range(10, 30)])) <= 2


async def test_foreign_traffic_on_the_same_key_slows_us_down_for_a_while(world: World) -> None:
    gate = await world.gate()
    hints = (LimitHint(dimension="requests", limit=600, remaining=5, reset_s=50.0),)
    await gate.settle(await ticket_for(world, gate, an_ask(1)), good(10, limits=hints))
    assert len(granted([await gate.admit(an_ask(i)) for i in range(2, 30)])) <= 4
    await world.move(20)
    assert len(granted([await gate.admit(an_ask(i)) for i in range(30, 60)])) >= 10
