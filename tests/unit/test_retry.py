"""The failure policy, one test a row, and the waits that follow from it."""

import random
from typing import Any

import pytest

from core.errors import MalformedAnswer, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from core.ports import Health
from core.retry import DEFAULT_FREEZE_S, LONGEST_FREEZE_S, LONGEST_PAUSE_S, Fail, Park, Retry, RetryPolicy, classify
from core.settings import ProviderSettings


def refused(status: int, message: str = "told so", **fields: Any) -> ProviderRefused:
    return ProviderRefused(message, status=status, **fields)


@pytest.mark.parametrize("error", [ProviderUnreachable("reset"), ProviderTimeout("late"), MalformedAnswer("html")])
def test_a_call_without_a_usable_answer_is_retried_and_counts_against_the_breaker(error: ProviderError) -> None:
    assert classify(error) == Retry(health=Health.BAD)


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 529])
def test_a_transient_status_is_retried_and_counts_against_the_breaker(status: int) -> None:
    assert classify(refused(status)) == Retry(health=Health.BAD)


def test_a_server_error_with_retry_after_waits_for_it_and_freezes_nobody_else() -> None:
    assert classify(refused(503, retry_after=7)) == Retry(health=Health.BAD, after_s=7)


def test_no_call_waits_longer_for_a_sick_server_than_the_policy_allows() -> None:
    decision = classify(refused(503, retry_after=86_400))
    assert isinstance(decision, Retry)
    assert decision.after_s == LONGEST_PAUSE_S


def test_a_rate_limit_freezes_the_provider_until_retry_after_and_is_neutral_to_the_breaker() -> None:
    decision = classify(refused(429, code="rate_limit_exceeded", retry_after=2.5))
    assert decision == Retry(health=Health.NEUTRAL, after_s=2.5, freeze_s=2.5, throttled=True)


def test_a_rate_limit_without_retry_after_freezes_briefly_and_backs_off() -> None:
    assert classify(refused(429)) == Retry(health=Health.NEUTRAL, freeze_s=DEFAULT_FREEZE_S, throttled=True)


@pytest.mark.parametrize(("told", "obeyed"), [(-5.0, 0.0), (0.0, 0.0), (1e12, LONGEST_FREEZE_S)])
def test_an_absurd_retry_after_is_bounded(told: float, obeyed: float) -> None:
    decision = classify(refused(429, retry_after=told))
    assert isinstance(decision, Retry)
    assert decision.freeze_s == obeyed


@pytest.mark.parametrize("field", ["code", "type"])
def test_a_429_that_means_money_parks_the_provider(field: str) -> None:
    assert classify(refused(429, "no money left", **{field: "insufficient_quota"})) == Park(reason="no money left")


def test_a_429_that_forbids_a_retry_parks_the_provider() -> None:
    assert isinstance(classify(refused(429, should_retry=False)), Park)


def test_a_request_that_is_larger_than_the_limit_by_itself_fails() -> None:
    error = refused(429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000.")
    assert isinstance(classify(error), Fail)


def test_the_words_of_google_for_requests_a_minute_do_not_park() -> None:
    assert isinstance(classify(refused(429, "You exceeded your current quota, please check your plan.")), Retry)


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("should_retry", [None, True, False])
def test_missing_rights_or_money_park_the_provider_whatever_else_is_said(
    *, status: int, should_retry: bool | None
) -> None:
    assert isinstance(classify(refused(status, should_retry=should_retry)), Park)


def test_an_empty_account_that_answers_with_400_parks_the_provider() -> None:
    assert isinstance(classify(refused(400, "Your credit balance is too low to access the Anthropic API.")), Park)


@pytest.mark.parametrize("status", [301, 307, 400, 404, 405, 413, 415, 422])
def test_a_request_that_cannot_succeed_fails_at_once_with_the_providers_message(status: int) -> None:
    assert classify(refused(status, "no such model")) == Fail(reason="no such model")


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_content_filter_fails_the_job_under_any_status(status: int) -> None:
    assert isinstance(classify(refused(status, code="content_filter")), Fail)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_server_that_asks_for_a_retry_gets_one(status: int) -> None:
    assert isinstance(classify(refused(status, should_retry=True)), Retry)


@pytest.mark.parametrize("status", [408, 409, 500, 503])
def test_a_server_that_forbids_a_retry_is_obeyed(status: int) -> None:
    assert isinstance(classify(refused(status, should_retry=False)), Fail)


def test_a_server_error_that_is_not_retried_still_counts_against_the_breaker() -> None:
    assert classify(refused(500, should_retry=False)).health is Health.BAD


def test_the_policy_comes_from_the_providers_settings() -> None:
    settings = ProviderSettings(max_retry_attempts=5, retry_multiplier=3, retry_min_wait=1, retry_max_wait=9)
    policy = RetryPolicy.of(settings)
    assert (policy.attempts, policy.multiplier, policy.min_wait, policy.max_wait) == (5, 3, 1, 9)


def test_failures_end_after_the_allowed_attempts() -> None:
    policy = RetryPolicy(attempts=3)
    assert [policy.exhausted(tries=n) for n in (1, 2, 3, 4)] == [False, False, True, True]


def test_rate_limits_use_up_a_bound_of_their_own() -> None:
    policy = RetryPolicy(attempts=3, throttle_attempts=50)
    assert not policy.exhausted(tries=0, throttled=49)
    assert policy.exhausted(tries=0, throttled=50)


@pytest.mark.parametrize("tries", [1, 2, 3, 4, 10, 5000])
def test_waits_are_spread_over_a_window_that_grows_up_to_the_longest_wait(tries: int) -> None:
    policy = RetryPolicy(multiplier=2, min_wait=4, max_wait=30, rng=random.Random(7))
    waits = [policy.wait_s(Retry(health=Health.BAD), tries=tries) for _ in range(500)]
    window = min(30.0, 4.0 * 2.0 ** min(tries, 10))
    assert 4 <= min(waits) < 4 + (window - 4) * 0.05
    assert window - (window - 4) * 0.05 < max(waits) <= window


def test_the_same_randomness_gives_the_same_waits() -> None:
    policies = [RetryPolicy(rng=random.Random(1)) for _ in range(2)]
    first, second = ([policy.wait_s(Retry(health=Health.BAD), tries=n) for n in range(5)] for policy in policies)
    assert first == second


def test_throttled_calls_back_off_by_how_often_they_were_throttled() -> None:
    policy = RetryPolicy(multiplier=2, min_wait=0, max_wait=1000, rng=random.Random(3))
    throttled = Retry(health=Health.NEUTRAL, freeze_s=1, throttled=True)
    assert max(policy.wait_s(throttled, tries=0, throttled=8) for _ in range(200)) > 200


def test_what_the_server_asked_for_is_waited_as_it_is() -> None:
    assert RetryPolicy().wait_s(Retry(health=Health.NEUTRAL, after_s=0.25), tries=1) == 0.25


def test_without_a_shortest_wait_the_window_still_grows() -> None:
    policy = RetryPolicy(multiplier=2, min_wait=0, max_wait=30, rng=random.Random(5))
    assert max(policy.wait_s(Retry(health=Health.BAD), tries=3) for _ in range(200)) > 4
