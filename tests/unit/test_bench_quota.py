"""The judge of a quota: what the simulator counted a second, against the limit."""

import pytest

from core.ports import Limits
from scripts.bench.quota.curve import Curve, most

RPM = Limits(rpm=600)
BOTH = Limits(rpm=600, tpm=60_000)


def a_curve(requests: list[int], tokens: list[int] | None = None) -> Curve:
    return Curve(requests=requests, tokens=tokens or [0] * len(requests), refused=[0] * len(requests))


def test_a_run_is_steady_from_the_second_on_in_which_the_next_five_use_the_quota() -> None:
    assert a_curve([1, 5, 10, 10, 9, 10, 10, 10]).steady_s(RPM) == 2


def test_a_run_that_never_uses_its_quota_is_never_steady() -> None:
    assert a_curve([5] * 20).steady_s(RPM) == 20


def test_of_two_limits_the_one_that_is_used_more_counts() -> None:
    assert a_curve([5] * 4, [1000] * 4).used(BOTH) == 1.0


def test_limits_that_take_turns_are_judged_apart_from_the_seconds_of_the_change() -> None:
    curve = a_curve([10, 10, 10, 7, 5, 5, 5], [500, 500, 500, 1600, 900, 900, 900])
    assert curve.used_in_turn(BOTH) == pytest.approx((1 + 0.9 * 2) / 3)


def test_the_busiest_window_is_the_simulators() -> None:
    stats = {"windows": {"requests_60s": 594, "tokens_60s": 61_000, "requests_1s": 12, "tokens_1s": 900}}
    assert most(stats, RPM, 60) == pytest.approx(0.99)
    assert most(stats, BOTH, 60) == pytest.approx(61 / 60)
    assert most(stats, RPM, 1) == pytest.approx(1.2)
