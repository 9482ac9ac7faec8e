"""A busy provider's quota is used and never exceeded; its judge is strict, and time is the test's."""

import heapq
import math
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from core.ports import Ask, Limits, Refused, Ticket, Wait
from tests.gates import (
    KINDS,
    MemoryWorld,
    World,
    an_ask,
    good,
    neutral,
    world_of,
)


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async for made in world_of(request):
        yield made


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
    await traffic.run(50)
    assert judge.used(start + 20, start + 49)[0] >= 0.95
    assert judge.refused <= 0.15 * sum(at >= start + 10 for at, _ in judge.arrivals)
    refused = judge.refused
    await traffic.run(45)
    assert judge.used(start + 80, start + 94)[0] >= 0.98
    assert judge.refused - refused <= 5
