"""What every gate promises, on time that the tests turn. The twin and the script in Redis pass the same sentences."""

import asyncio
import heapq
import itertools
import math
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import redis.asyncio

from core.model import LimitHint
from core.ports import Admission, Ask, Limits, Refusal, Refused, Ticket, Wait
from tests.gates import (
    World,
    an_ask,
    bad,
    fake_client,
    good,
    granted,
    memory_world,
    neutral,
    redis_world,
    ticket_for,
)

KINDS = ("memory", "fakeredis", "redis")


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        worlds = memory_world()
    elif request.param == "fakeredis":
        worlds = redis_world(fake_client())
    else:
        worlds = redis_world(redis.asyncio.Redis.from_url(request.getfixturevalue("redis_url")))
    async for made in worlds:
        made.limits["p"] = Limits(rpm=600, tpm=600_000)
        # Not at the server's birth: for a moment it cannot know that nothing is in flight.
        await (await made.gate()).status("p")
        await made.move(2)
        yield made


# ---- the judge


@dataclass
class Judge:
    """A strict provider: one second's quota, refilled steadily, charged with real tokens at arrival."""

    rpm: int = 0
    tpm: int = 0
    at: float = 0.0
    levels: list[float] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0

    def take(self, now: float, tokens: int) -> bool:
        rates = [self.rpm / 60 or math.inf, self.tpm / 60 or math.inf]
        room = [max(1.0, rate) for rate in rates]
        levels = self.levels or room
        self.levels = [min(r, lv + rate * (now - self.at)) for r, lv, rate in zip(room, levels, rates, strict=True)]
        self.at = now
        if any(level < cost - 1e-6 for level, cost in zip(self.levels, (1, tokens), strict=True)):
            self.refused += 1
            return False
        self.levels = [level - cost for level, cost in zip(self.levels, (1, tokens), strict=True)]
        self.arrivals.append((now, tokens))
        return True

    def used(self, start: float, end: float) -> tuple[float, float]:
        """Shares of the request and the token quota."""
        inside = [tokens for at, tokens in self.arrivals if start <= at < end]
        span = (end - start) / 60
        return len(inside) / span / (self.rpm or math.inf), sum(inside) / span / (self.tpm or math.inf)


@dataclass
class Traffic:
    """Calls that keep a provider busy: two processes, each with its own gate."""

    world: World
    judge: Judge
    calls: int = 40  # at once
    estimate: Callable[[int], int] = lambda tokens: tokens
    mean: int = 500
    spread: float = 0.25
    latency_s: float = 1.0
    seed: int = 7

    async def run(self, seconds: float) -> None:
        world, rnd = self.world, random.Random(self.seed)
        gates = [await world.gate(), await world.gate()]
        start, number = world.clock.now, 0
        events: list[tuple[float, int, str, Ask, int, Ticket | None]] = []

        def after(delay: float, what: str, ask: Ask, tokens: int, ticket: Ticket | None = None) -> None:
            nonlocal number
            number += 1
            heapq.heappush(events, (world.clock.now + delay, number, what, ask, tokens, ticket))

        def fresh(delay: float) -> None:
            tokens = round(self.mean * rnd.lognormvariate(-(self.spread**2) / 2, self.spread))
            after(delay, "ask", an_ask(number + 1, tokens=self.estimate(tokens)), tokens)

        for _ in range(self.calls):
            fresh(rnd.random() / 10)
        while events[0][0] < start + seconds:
            at, _, what, ask, tokens, ticket = heapq.heappop(events)
            await world.move(max(0.0, at - world.clock.now))
            gate = gates[ask.call_id % 2]
            if what == "ask":
                admission = await gate.admit(ask)
                assert not isinstance(admission, Refused)
                if isinstance(admission, Wait):
                    after(admission.seconds, "ask", ask, tokens)
                else:
                    after(admission.delay_s + rnd.expovariate(250), "send", ask, tokens, admission)
            elif what == "send":
                fits = self.judge.take(world.clock.now, tokens)
                after(
                    self.latency_s * rnd.lognormvariate(0, 0.5) if fits else 0.01,
                    "done" if fits else "429",
                    ask,
                    tokens,
                    ticket,
                )
            else:
                assert ticket is not None
                await gate.settle(ticket, good(tokens) if what == "done" else neutral(freeze_s=0.05))
                fresh(0.0)


@pytest.mark.parametrize("rpm", [600, 3000])
async def test_a_busy_provider_gets_98_percent_of_its_requests_and_refuses_none(world: World, rpm: int) -> None:
    world.limits["p"] = Limits(rpm=rpm)
    judge = Judge(rpm=rpm)
    await Traffic(world, judge, calls=rpm // 15).run(9)
    assert judge.refused == 0
    start = judge.arrivals[0][0]
    assert judge.used(start + 2, start + 8)[0] >= 0.98


@pytest.mark.parametrize("bias", [2.0, 0.7])
async def test_a_busy_provider_gets_98_percent_of_its_tokens_though_estimates_are_wrong(bias: float) -> None:
    # Half a minute of it: on the twin only, which test_gate_twin.py holds equal to the script.
    async for world in memory_world():
        world.limits["p"] = Limits(tpm=2_000_000)
        judge = Judge(tpm=2_000_000)
        await Traffic(world, judge, calls=300, estimate=lambda tokens: round(500 * bias)).run(90)
        start = judge.arrivals[0][0]
        assert judge.used(start + 15, start + 89)[1] >= 0.98
        assert judge.refused <= len(judge.arrivals) / 1000


# ---- the schedule


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
    assert len(tickets) == 8
    for ticket in tickets:
        await gate.settle(ticket, neutral(freeze_s=0.1))
    await world.move(1)
    assert len(granted([await gate.admit(an_ask(100 + i, provider="free")) for i in range(20)])) in {4, 5, 6}


async def test_calls_in_flight_are_bounded_where_the_settings_say_so(world: World) -> None:
    world.limits["p"] = Limits(rpm=60_000, in_flight=3)
    gate = await world.gate()
    tickets = granted([await gate.admit(an_ask(i)) for i in range(6)])
    assert len(tickets) == 3
    await gate.settle(tickets[0], good(10))
    assert isinstance(await gate.admit(an_ask(10)), Ticket)


# ---- what the provider tells


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


# ---- intents


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


# ---- the breaker


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


# ---- budget


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


# ---- lost state


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
