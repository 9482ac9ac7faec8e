"""Waiting times and limits in all the forms in which providers send them."""

import email.utils

import pytest

from core.model import LimitHint
from core.providers.limits import limit_hints, retry_after, should_retry, span_s

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "20"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "20"}, 20.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": email.utils.formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": email.utils.formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": email.utils.formatdate(NOW + 90)}, 90.0),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Fri, 99 Foo 2026 99:99:99 GMT"}, None),
    ],
)
def test_retry_after_is_understood_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "told"), [("true", True), ("false", False), ("TRUE", True), ("maybe", None), ("", None)]
)
def test_should_retry_is_told_or_not(*, text: str, told: bool | None) -> None:
    assert should_retry({"x-should-retry": text}) is told


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("1h2m3.5s", 3723.5),
        ("1d2h", 93_600.0),
        ("7.66s", 7.66),
        ("1m30.5s", 90.5),
        ("500", 500.0),
        ("0s", 0.0),
        ("", None),
        ("tomorrow", None),
        ("5x", None),
    ],
)
def test_spans_are_read_as_go_writes_them(text: str, seconds: float | None) -> None:
    assert span_s(text) == pytest.approx(seconds)


def test_openais_headers_tell_both_limits() -> None:
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "199000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert limit_hints(headers, NOW) == (
        LimitHint(dimension="requests", limit=10_000, remaining=9_999, reset_s=0.006),
        LimitHint(dimension="tokens", limit=200_000, remaining=199_000, reset_s=360.0),
    )


def test_anthropics_headers_tell_when_by_the_clock() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-09-21T14:14:20Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-reset": "2026-09-21T14:14:20+00:00",
    }
    assert limit_hints(headers, NOW) == (
        LimitHint(dimension="requests", limit=50, remaining=49, reset_s=60.0),
        LimitHint(dimension="tokens", limit=40_000, remaining=None, reset_s=60.0),
    )


@pytest.mark.parametrize("limit", ["-1", "0", "", "lots", "nan"])
def test_a_limit_that_says_nothing_is_left_out(limit: str) -> None:
    assert limit_hints({"x-ratelimit-limit-requests": limit}, NOW) == ()


def test_azures_unknown_rest_is_not_taken_for_a_number() -> None:
    headers = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "-1"}
    assert limit_hints(headers, NOW) == (LimitHint(dimension="tokens", limit=1000),)


def test_nonsense_in_a_reset_does_not_hide_the_limit() -> None:
    headers = {"x-ratelimit-limit-requests": "5", "x-ratelimit-reset-requests": "whenever"}
    assert limit_hints(headers, NOW) == (LimitHint(dimension="requests", limit=5),)


def test_input_and_output_tokens_and_the_days_limits_are_told_apart() -> None:
    headers = {
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "x-ratelimit-limit-requests-day": "14400",
        "x-ratelimit-remaining-requests-day": "14000",
    }
    assert {(hint.dimension, hint.limit, hint.remaining) for hint in limit_hints(headers, NOW)} == {
        ("input_tokens", 40_000, 39_000),
        ("output_tokens", 8_000, None),
        ("requests_day", 14_400, 14_000),
    }
