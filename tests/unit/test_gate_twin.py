"""The twin and the script are one machine: any order of operations at any times gives the same answers and keeps the
promises. Hypothesis looks for an order that does not."""

import math
from typing import Any

import fakeredis
import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.gate.gate import Op
from core.gate.lane import START
from core.gate.redis import script
from core.gate.rows import ROWS, in_force
from core.gate.schedule import HORIZON, Dimension
from core.gate.twin import Twin
from tests.examples import examples
from tests.gates import HAND_CLOCK

RPM, TPM, CAP = 120, 60_000, 10_000
PROVIDER = "p"
SCRIPT = script(HAND_CLOCK)


class Gates(RuleBasedStateMachine):
    """Both gates, side by side."""

    limits: tuple[int, ...] = (0, RPM, TPM, 0, 0, 0, 0)

    @initialize()
    def begin(self) -> None:
        self.twin = Twin()
        self.redis = fakeredis.FakeRedis()
        self.now = 1000.0
        self.seq = 0
        self.era = 0
        self.number = 0
        self.tickets: dict[int, tuple[list[Any], int, float]] = {}  # answer, worst case, when it goes
        self.going: list[float] = []
        self.places: dict[int, float] = {}
        self.spent = 0
        self.told_limits = list(self.limits)
        self.both(["set_spent", 1, 0])
        self.now += 2

    def both(self, op: Op) -> Any:
        self.redis.set("test:now", f"{self.now:.6f}")
        request = {
            "seq": self.seq,
            **in_force({PROVIDER: self.told_limits}),
            "ops": [op],
        }
        era, seq, _, (by_script,) = orjson.loads(self.redis.eval(SCRIPT, 0, orjson.dumps(request)))
        by_twin = self.twin.run(op, self.seq, lambda _: self.told_limits, self.now)
        assert self.twin.era is not None
        assert (era, seq) == (self.twin.era.born, self.twin.era.seq)
        if isinstance(by_twin, list) and by_twin[1] == "too_large":
            assert_same(by_script[:2], by_twin[:2])  # it may fit into several limits not at all: any of them is named
        else:
            assert_same(by_script, by_twin)
        self.era, self.seq = era, seq
        return by_twin

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.5, 1.0, 3.0, 20.0, 61.0, 5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)

    @rule(
        tokens=st.sampled_from([1, 100, 2000, TPM, TPM + 1]),
        worst=st.sampled_from([-1, 1, 500, 4000]),
        again=st.booleans(),
    )
    def admit(self, *, tokens: int, worst: int, again: bool) -> None:
        waiting = next(iter(self.places), None) if again else None
        call_id = waiting if waiting is not None else self.number + 1
        self.number = max(self.number, call_id)
        place = self.places.pop(call_id, 0)
        cap = CAP if worst >= 0 else -1
        answer = self.both(["admit", PROVIDER, call_id, "m", tokens, 1, worst, cap, place, "{}", tokens // 3])
        if answer[0] == "ticket":
            self.tickets[call_id] = (answer, worst, self.now + answer[1])
            self.going.append(self.now + answer[1])
            assert answer[1] <= HORIZON + 1e-6
            assert answer[3] <= TPM or not self.limits[2]
        elif answer[0] == "wait" and answer[3]:
            self.places[call_id] = answer[3]
        elif answer[0] == "refused" and answer[1] == "too_large":
            known = self.twin.lanes[PROVIDER].dimensions.values()
            assert any(tokens > d.limit > 0 for d in known if d.row.counts in {"tokens", "input"})

    @precondition(lambda self: self.tickets)
    @rule(
        which=st.integers(0, 5),
        health=st.sampled_from(["good", "bad", "neutral"]),
        real=st.sampled_from([-1, 0, 50, 500, 5000]),
        share=st.sampled_from([-1.0, 0.0, 0.4, 1.0]),
        freeze=st.sampled_from([-1, -1, -1, 0, 0.3, 7]),
        twice=st.booleans(),
    )
    def settle(self, *, which: int, health: str, real: int, share: float, freeze: float, twice: bool) -> None:
        call_id = list(self.tickets)[which % len(self.tickets)]
        answer, worst, _ = self.tickets.pop(call_id)
        cost = -1 if share < 0 else math.ceil(max(0, worst) * share)
        op = [
            "settle",
            PROVIDER,
            call_id,
            "m",
            1,
            answer[4],
            self.era,
            health,
            True,
            real,
            cost,
            worst,
            freeze,
            [],
            real - real // 3,
            real // 3,
        ]
        self.both(op)
        if worst >= 0:
            self.spent += worst if cost < 0 else cost
        if twice:
            assert self.both(op) == 0

    @precondition(lambda self: self.tickets)
    @rule(which=st.integers(0, 5))
    def give_back(self, which: int) -> None:
        call_id = list(self.tickets)[which % len(self.tickets)]
        answer, worst, _ = self.tickets.pop(call_id)
        self.both(
            ["settle", PROVIDER, call_id, "m", 1, answer[4], self.era, "neutral", False, -1, 0, worst, -1, [], -1, -1]
        )

    @precondition(lambda self: self.tickets)
    @rule(which=st.integers(0, 5))
    def forget(self, which: int) -> None:
        call_id = list(self.tickets)[which % len(self.tickets)]
        _, worst, _ = self.tickets.pop(call_id)
        self.both(["forget", PROVIDER, call_id, 1])
        self.spent += max(0, worst)

    @rule(
        dimension=st.integers(1, len(ROWS)),
        share=st.sampled_from([0.3, 1.0, 2.0]),
        remaining=st.sampled_from([-1, 0, 5]),
        reset=st.sampled_from([0.5, 4.0, 30.0]),
    )
    def hint(self, dimension: int, share: float, remaining: int, reset: float) -> None:
        limit = round((RPM, TPM, TPM, TPM, RPM, TPM)[dimension - 1] * share)
        self.number += 1
        answer = self.both(["admit", PROVIDER, self.number, "m", 1, 1, -1, -1, 0, "{}", 0])
        if answer[0] == "ticket":
            self.going.append(self.now + answer[1])
            hints = [[list(ROWS[dimension - 1]), limit, remaining, reset]]
            op = [
                "settle",
                PROVIDER,
                self.number,
                "m",
                1,
                answer[4],
                self.era,
                "good",
                True,
                1,
                -1,
                -1,
                -1,
                hints,
                1,
                0,
            ]
            self.both(op)

    @rule()
    def look(self) -> None:
        self.both(["status", PROVIDER])

    @rule()
    def state_is_lost(self) -> None:
        self.redis.flushdb()
        self.twin.__init__()  # type: ignore[misc]  # a new one under the same name
        self.both(["ping"])
        for call_id, (answer, worst, _) in self.tickets.items():
            self.both(["restore", PROVIDER, call_id, 1, worst, f"{answer[2]} {answer[3]} {worst} 1 {{}}"])
        self.both(["set_spent", 1, self.spent])
        self.now += 2

    @invariant()
    def money_is_never_overshot(self) -> None:
        if hasattr(self, "tickets"):
            reserved = sum(max(0, worst) for _, worst, _ in self.tickets.values())
            assert self.spent + reserved <= CAP

    @invariant()
    def no_minute_holds_more_requests_than_the_limit(self) -> None:
        going = [] if not self.limits[1] else sorted(getattr(self, "going", []))[-RPM - 1 :]
        if len(going) > RPM:
            assert going[-1] - going[0] >= 60 - 1e-6


class GatesWithoutLimits(Gates):
    """Nobody tells a limit: concurrency is learned."""

    limits = (3, 0, 0, 0, 0, 0, 0)


class GatesWithLimitsOfAllKinds(Gates):
    """Every row has a limit, and the day's are soon used up."""

    limits = (5, RPM, TPM, TPM, TPM // 2, RPM // 3, TPM * 2)


def assert_same(by_script: Any, by_twin: Any) -> None:
    if isinstance(by_twin, list):
        assert len(by_script) == len(by_twin), (by_script, by_twin)
        for one, other in zip(by_script, by_twin, strict=True):
            assert_same(one, other)
    elif isinstance(by_twin, float):
        assert by_script == pytest.approx(by_twin, rel=1e-6, abs=1e-4)
    else:
        assert by_script == by_twin


SOME = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestGates = Gates.TestCase
TestGates.settings = SOME
TestGatesWithoutLimits = GatesWithoutLimits.TestCase
TestGatesWithoutLimits.settings = SOME
TestGatesWithLimitsOfAllKinds = GatesWithLimitsOfAllKinds.TestCase
TestGatesWithLimitsOfAllKinds.settings = SOME


def refused_for_a_while(gates: Gates) -> tuple[float, float]:
    """Two calls a second; every other one of half a minute is refused. Returns the least ease and the least room."""
    gates.begin()
    slowest, smallest = 1.0, math.inf
    for turn in range(120):
        gates.now = round(gates.now + 0.5, 6)
        gates.admit(tokens=1, worst=-1, again=True)
        if gates.tickets:
            refused = 20 <= turn < 80 and turn % 2
            gates.settle(which=0, health="good", real=1, share=-1.0, freeze=0.3 if refused else -1, twice=False)
        lane = gates.twin.lanes[PROVIDER]
        slowest, smallest = min(slowest, lane.ease), min(smallest, lane.room)
    return slowest, smallest


def test_both_find_the_same_pace_that_nobody_tells() -> None:
    gates = Gates()
    slowest, room = refused_for_a_while(gates)
    assert slowest < 0.8
    assert room == START
    assert gates.twin.lanes[PROVIDER].ease > slowest


def test_both_learn_the_same_number_of_calls_at_once_where_no_pace_is_known() -> None:
    slowest, room = refused_for_a_while(GatesWithoutLimits())
    assert slowest == 1
    assert room < START / 2


def test_a_call_from_before_input_was_counted_teaches_both_nothing_of_it() -> None:
    gates = GatesWithoutLimits()
    gates.begin()
    gates.admit(tokens=100, worst=-1, again=False)
    gates.hint(dimension=3, share=1.0, remaining=0, reset=0.5)
    gates.settle(which=0, health="good", real=50, share=0.0, freeze=-1, twice=False)
    gates.admit(tokens=TPM, worst=-1, again=True)
    gates.hint(dimension=6, share=2.0, remaining=5, reset=0.5)
    assert gates.twin.lanes[PROVIDER].models["m input"].n == 0


def a_dimension(limit: int = 6000) -> Dimension:
    made = Dimension(ROWS[0])
    made.set_limit(limit, 1000.0)
    return made


def test_a_correction_gives_what_the_real_figure_would_have_given_had_it_been_known() -> None:
    guessed, known = a_dimension(), a_dimension()
    now = 1001.0
    booked = []
    for i in range(200):
        t = guessed.earliest(100, now)
        guessed.book(100, t)
        booked.append((math.floor(t), 40 if i % 2 else 160))
        known.book(40 if i % 2 else 160, t)
    for second, real in booked:
        guessed.correct(second, real - 100)
    assert guessed.tat == pytest.approx(known.tat, abs=0.05)
    assert guessed.used(now + 30) == known.used(now + 30)


def test_unused_quota_of_an_idle_second_is_gone() -> None:
    made = a_dimension()
    made.book(3000, 1001.0)
    made.book(10, 1100.0)
    before = made.tat
    made.correct(1001, -2900)
    assert made.tat == before
