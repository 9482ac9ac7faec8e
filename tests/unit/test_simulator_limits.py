"""The simulated quota: strict in any window, exact in what it tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.ports import Limits
from scripts.simulator.limits import Excess, Quota
from scripts.simulator.options import read_burst, read_limits
from scripts.simulator.windows import SlidingMax, Timeline


def quota(*, rpm: int | None = None, tpm: int | None = None, burst: float = 1.0) -> Quota:
    return Quota(Limits(rpm=rpm, tpm=tpm), burst, 0.0)


def test_a_full_bucket_lets_its_burst_through_and_then_the_rate() -> None:
    bucket = quota(rpm=600, burst=2)

    at_once = [bucket.admit(1, 0.0) is None for _ in range(25)]
    a_second_later = [bucket.admit(1, 1.0) is None for _ in range(15)]

    assert at_once.count(True) == 20
    assert a_second_later.count(True) == 10


def test_the_wait_that_is_told_is_enough_and_no_less_is() -> None:
    bucket = quota(rpm=60)
    assert bucket.admit(1, 0.0) is None

    excess = bucket.admit(1, 0.25)

    assert excess == Excess(dimension="requests", limit=60, asked=1, retry_s=0.75)
    assert bucket.admit(1, 0.999) is not None
    assert bucket.admit(1, 1.0) is None


def test_a_request_without_tokens_left_charges_no_request_either() -> None:
    both = quota(rpm=60, tpm=600, burst=60)
    assert both.admit(600, 0.0) is None

    refused = both.admit(1, 0.0)

    assert refused is not None
    assert refused.dimension == "tokens"
    assert {level.dimension: level.remaining for level in both.levels()} == {"requests": 59, "tokens": 0}


def test_a_request_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_off() -> None:
    bucket = quota(tpm=600)

    assert bucket.admit(100, 0.0) is None
    assert bucket.admit(1, 9.0) is not None
    assert bucket.admit(10, 10.0) is None


def test_a_request_larger_than_the_limit_never_passes() -> None:
    excess = quota(tpm=600, burst=60).admit(601, 0.0)

    assert excess == Excess(dimension="tokens", limit=600, asked=601, retry_s=None)


def test_a_changed_limit_is_no_new_quota() -> None:
    bucket = quota(rpm=600, burst=60)
    for _ in range(600):
        bucket.admit(1, 0.0)

    bucket.change(Limits(rpm=60), 60.0, 0.0)

    assert bucket.admit(1, 0.5) is not None
    assert bucket.admit(1, 1.0) is None


def test_a_limit_taken_away_lets_everything_through() -> None:
    bucket = quota(rpm=1)
    bucket.admit(1, 0.0)

    bucket.change(Limits(), 1.0, 0.0)

    assert bucket.admit(10**9, 0.0) is None
    assert not bucket.limited


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 40)), min_size=1, max_size=120),
    st.sampled_from([0.1, 1.0, 5.0]),
)
def test_no_window_of_any_width_lets_more_through_than_rate_and_burst(
    asks: list[tuple[float, int]], burst: float
) -> None:
    bucket, now, passed = quota(tpm=600, burst=burst), 0.0, []
    for pause, tokens in asks:
        now += pause
        if bucket.admit(tokens, now) is None:
            passed.append((now, tokens))

    largest = max(10 * burst, *(tokens for _, tokens in asks))
    for first in range(len(passed)):
        total = 0
        for at, tokens in passed[first:]:
            total += tokens
            assert total <= 10 * (at - passed[first][0]) + largest + 1e-6


@given(st.lists(st.floats(0, 0.7), max_size=80))
def test_a_sliding_window_finds_the_most_requests_of_any_second(pauses: list[float]) -> None:
    window, now, times = SlidingMax(1.0), 0.0, []
    for pause in pauses:
        now += pause
        times.append(now)
        window.add(now, 3)

    most = max((sum(1 for other in times if at - 1.0 < other <= at) for at in times), default=0)
    assert (window.most_requests, window.most_tokens) == (most, 3 * most)


def test_the_timeline_counts_by_second_with_the_empty_ones_between() -> None:
    timeline = Timeline()
    for at in (10.1, 10.9, 12.0):
        timeline.accept(at, 7, watched=True)
    timeline.refuse(12.5)

    report = timeline.report()

    assert report["per_second"] == {"requests": [2, 0, 1], "tokens": [14, 0, 7], "refused": [0, 0, 1]}
    assert report["windows"] == {"requests_1s": 2, "tokens_1s": 14, "requests_60s": 3, "tokens_60s": 21}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "600", True])
def test_a_limit_that_is_no_whole_number_is_refused(limit: object) -> None:
    with pytest.raises(InputError):
        read_limits(limit, None)


@pytest.mark.parametrize("burst", [0, -1, "1", float("nan"), True])
def test_a_burst_that_is_no_positive_number_is_refused(burst: object) -> None:
    with pytest.raises(InputError):
        read_burst(burst)
