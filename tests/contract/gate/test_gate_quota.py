"""A busy provider's quota is used and never exceeded; its judge is strict, and time is the test's."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from core.model import LimitHint
from core.ports import Ask, Limits, Refused, Ticket, Wait
from tests.gates import (
    MemoryWorld,
    World,
    an_ask,
    good,
    granted,
    neutral,
    ticket_for,
)


@dataclass
class Judge:
    """A strict provider: one second's quota, refilled steadily, charged with real tokens at arrival."""

    rpm: int = 0
    tpm: int = 0
    at: float = 0.0
    levels: list[float] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    changes: list[tuple[float, int]] = field(default_factory=list)  # from when on another rpm

    def take(self, now: float, tokens: int) -> bool:
        while self.changes and now >= self.changes[0][0]:
            self.rpm = self.changes.pop(0)[1]
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
    world = MemoryWorld(limits={"p": Limits(tpm=2_000_000)})
    judge = Judge(tpm=2_000_000)
    await Traffic(world, judge, calls=300, estimate=lambda _: round(500 * bias)).run(90)
    start = judge.arrivals[0][0]
    assert judge.used(start + 15, start + 89)[1] >= 0.98
    assert judge.refused <= len(judge.arrivals) / 1000


async def test_a_first_guess_that_is_far_too_high_costs_no_more_than_the_first_seconds() -> None:
    world = MemoryWorld(limits={"p": Limits(tpm=300_000)})
    judge = Judge(tpm=300_000)
    await Traffic(world, judge, calls=400, estimate=lambda _: 267, mean=111, spread=0.05).run(30)
    start = judge.arrivals[0][0]
    assert judge.used(start + 5, start + 29)[1] >= 0.97
    assert judge.refused == 0


async def test_a_first_guess_that_is_far_too_low_is_corrected_before_much_is_refused() -> None:
    world = MemoryWorld(limits={"p": Limits(tpm=1_000_000)})
    judge = Judge(tpm=1_000_000)
    await Traffic(world, judge, calls=300, estimate=lambda _: 267, mean=1000, spread=0.3).run(40)
    start = judge.arrivals[0][0]
    assert judge.used(start + 10, start + 39)[1] >= 0.98
    assert judge.refused <= len(judge.arrivals) / 200


async def test_a_limit_that_drops_and_rises_untold_is_found_by_its_429s() -> None:
    world = MemoryWorld(limits={"p": Limits(rpm=3000)})
    start = world.clock.now
    judge = Judge(rpm=3000, changes=[(start + 10, 900), (start + 50, 3000)])
    traffic = Traffic(world, judge, calls=200)
    await traffic.run(20)
    found = judge.refused
    await traffic.run(30)
    assert judge.used(start + 20, start + 49)[0] >= 0.95
    assert judge.refused <= 0.15 * sum(at >= start + 10 for at, _ in judge.arrivals)
    assert judge.refused - found <= 0.04 * sum(at >= start + 20 for at, _ in judge.arrivals)
    refused = judge.refused
    await traffic.run(45)
    assert judge.used(start + 80, start + 94)[0] >= 0.98
    assert judge.refused - refused <= 5


async def test_a_days_requests_are_used_at_once_and_then_the_window_must_move_on(world: World) -> None:
    world.limits["p"] = Limits(rpm=6000, rpd=40)
    gate = await world.gate()
    passed, call_id = 0, 0
    for _ in range(6):
        for _ in range(10):
            call_id += 1
            admission = await gate.admit(an_ask(call_id))
            if isinstance(admission, Ticket):
                passed += 1
                await gate.settle(admission, good(10))
            else:
                assert isinstance(admission, Wait)
                assert admission.reason == "quota of the day"
                assert not admission.alone
        await world.move(3600)
    assert passed == 40
    await world.move(86_400 - 6 * 3600)
    assert isinstance(await gate.admit(an_ask(1000)), Ticket | Wait)
    await world.move(3600)
    assert isinstance(await gate.admit(an_ask(1001)), Ticket)


async def test_no_24_hours_hold_more_than_the_days_requests(world: World) -> None:
    world.limits["p"] = Limits(rpm=6000, rpd=30)
    gate, went = await world.gate(), list[float]()
    for hour in range(60):
        for i in range(4):
            admission = await gate.admit(an_ask(10 * hour + i + 1))
            if isinstance(admission, Ticket):
                went.append(world.clock.now + admission.delay_s)
                await gate.settle(admission, good(10))
        await world.move(3600)
    assert max(sum(at <= other < at + 86_400 for other in went) for at in went) == 30
    assert len(went) >= 60


async def test_a_days_header_tells_what_others_have_used(world: World) -> None:
    world.limits["p"] = Limits(rpm=6000)
    gate = await world.gate()
    hints = (LimitHint(dimension="requests_day", limit=1000, remaining=2),)
    await gate.settle(await ticket_for(world, gate, an_ask(1)), good(10, limits=hints))
    assert len(granted([await gate.admit(an_ask(i)) for i in range(2, 12)])) == 2


async def test_input_and_output_tokens_have_limits_of_their_own(world: World) -> None:
    world.limits["p"] = Limits(itpm=6_000_000, otpm=60_000)
    gate = await world.gate()
    for i in range(1, 8):  # teaches that an answer takes 50
        ticket = await ticket_for(world, gate, an_ask(i, tokens=1100, output_tokens=100))
        await gate.settle(ticket, good(1050, input_tokens=1000, output_tokens=50))
        await world.move(1)
    await world.move(60)
    tickets = granted([await gate.admit(an_ask(i, tokens=1100, output_tokens=100)) for i in range(10, 110)])
    assert 15 <= len(tickets) <= 35  # a twentieth of a second of answers each; the prompts would let all pass


async def test_a_prompt_above_the_input_limit_is_refused_and_a_guess_of_the_answer_is_not(world: World) -> None:
    world.limits["p"] = Limits(itpm=1000, otpm=100)
    gate = await world.gate()
    refused = await gate.admit(an_ask(1, tokens=1257, output_tokens=256))
    assert isinstance(refused, Refused)
    assert refused.detail == "1001 input tokens, but p allows 1000 a minute"
    assert isinstance(await gate.admit(an_ask(2, tokens=1256, output_tokens=256)), Ticket)


async def test_headers_that_limit_output_tokens_alone_are_obeyed(world: World) -> None:
    world.limits["p"] = Limits()
    gate = await world.gate()
    hints = (LimitHint(dimension="output_tokens", limit=600),)
    first = await ticket_for(world, gate, an_ask(1, tokens=200, output_tokens=100))
    await gate.settle(first, good(200, input_tokens=100, output_tokens=100, limits=hints))
    asks = [an_ask(i, tokens=200, output_tokens=100) for i in range(2, 30)]
    assert len(granted([await gate.admit(ask) for ask in asks])) <= 1


async def test_a_model_with_limits_of_its_own_has_its_own_schedule_and_the_others_share_the_providers(
    world: World,
) -> None:
    world.limits["p"] = Limits(rpm=60, models={"own": Limits(rpm=6000)})
    gate = await world.gate()
    own = granted([await gate.admit(an_ask(i, model="own")) for i in range(1, 31)])
    others = granted([await gate.admit(an_ask(i, model="abc"[i % 3])) for i in range(100, 130)])
    assert len(own) == 30
    assert len(others) <= 2
    status = await gate.status("p")
    assert status.in_flight == len(own) + len(others) == status.rpm_used
    assert len(await gate.intents("p")) == status.in_flight


async def test_a_models_429_and_headers_change_its_own_schedule_only(world: World) -> None:
    world.limits["p"] = Limits(rpm=6000, models={"own": Limits(rpm=6000)})
    gate = await world.gate()
    hints = (LimitHint(dimension="requests", limit=60),)
    await gate.settle(await ticket_for(world, gate, an_ask(1, model="own")), good(10, limits=hints))
    assert len(granted([await gate.admit(an_ask(i, model="own")) for i in range(2, 12)])) <= 2
    assert len(granted([await gate.admit(an_ask(i)) for i in range(20, 30)])) == 10
    ticket = await ticket_for(world, gate, an_ask(40))
    await gate.settle(ticket, neutral(freeze_s=3600))
    assert isinstance(await ticket_for(world, gate, an_ask(50, model="own")), Ticket)
    assert isinstance(await gate.admit(an_ask(41)), Wait)
    status = await gate.status("p")
    assert status.frozen_s > 3000
    assert status.told == Limits(models={"own": Limits(rpm=60)})


async def test_an_intent_of_a_models_own_schedule_is_forgotten_like_any_other(world: World) -> None:
    world.limits["p"] = Limits(models={"own": Limits(rpm=6000)})
    gate = await world.gate()
    assert isinstance(await gate.admit(an_ask(1, model="own")), Ticket)
    world.limits["p"] = Limits()  # the reaper's process need not know of it
    await (await world.gate()).forget("p", [1])
    assert (await gate.status("p")).in_flight == 0


async def test_five_large_calls_a_second_use_the_tokens_and_are_seldom_refused() -> None:
    used, refused = 0.0, 0.0
    for seed in range(4):
        world, judge = MemoryWorld(limits={"p": Limits(tpm=150_000)}), Judge(tpm=150_000)
        traffic = Traffic(world, judge, calls=40, estimate=lambda _: 1000, spread=0.3, latency_s=2.0, seed=seed)
        await traffic.run(300)
        start = judge.arrivals[0][0]
        used += judge.used(start + 20, start + 299)[1] / 4
        refused += judge.refused / len(judge.arrivals) / 4
    assert used >= 0.97
    assert refused <= 0.003


@pytest.mark.parametrize("world", ["memory", "redis"], indirect=True)  # 15 s on fakeredis
async def test_a_thousand_calls_at_once_are_reached_in_four_round_trips_where_no_limit_is_known(world: World) -> None:
    gate, call_id = await world.gate(), 0
    flying = list[Ticket]()
    for _ in range(5):
        await world.move(1)
        going = list[Ticket]()
        for ended in [*flying, None]:
            if ended is not None:
                await gate.settle(ended, good(100))
            while True:
                call_id += 1
                admission = await gate.admit(an_ask(call_id, provider="free"))
                if not isinstance(admission, Ticket):
                    break
                going.append(admission)
        flying = going
    assert len(flying) >= 1000
