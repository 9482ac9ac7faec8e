"""What reply headers say about limits and waiting, in all the forms that providers use."""

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping

from core.model import LimitHint

# Each: the dimension, then the headers for its limit, what remains, and when that is whole again.
_FAMILIES = (
    *(
        (dimension, *(f"x-ratelimit-{what}-{header}" for what in ("limit", "remaining", "reset")))
        for dimension, header in (
            ("requests", "requests"),
            ("tokens", "tokens"),
            ("requests", "requests-minute"),
            ("tokens", "tokens-minute"),
            ("requests_day", "requests-day"),
            ("tokens_day", "tokens-day"),
        )
    ),
    *(
        (dimension, *(f"anthropic-ratelimit-{header}-{what}" for what in ("limit", "remaining", "reset")))
        for dimension, header in (
            ("requests", "requests"),
            ("tokens", "tokens"),
            ("input_tokens", "input-tokens"),
            ("output_tokens", "output-tokens"),
        )
    ),
)

_SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, at least 0: ``retry-after-ms``, then ``retry-after`` in seconds or as an HTTP date.

    ``now``: POSIX seconds. None: the header is missing or says nothing that can be understood.
    """
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return max(0.0, millis / 1000)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    return None if text is None else _until_http_date(text, now)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """``x-should-retry``; None: the provider does not say."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def limit_hints(headers: Mapping[str, str], now: float) -> tuple[LimitHint, ...]:
    """The limits that the headers tell. ``-1`` (Azure: not known) and nonsense are left out."""
    hints: list[LimitHint] = []
    if "ratelimit" not in "".join(headers).lower():
        return ()
    for dimension, limit, remaining, reset in _FAMILIES:
        told = _count(headers.get(limit))
        if told:
            left = _count(headers.get(remaining))
            hints.append(
                LimitHint(dimension=dimension, limit=told, remaining=left, reset_s=_reset(headers.get(reset), now))
            )
    return tuple(hints)


def span_s(text: str) -> float | None:
    """Seconds of ``12ms``, ``6m0s``, ``1h2m3.5s`` or a plain number of seconds."""
    text = text.strip().lower()
    number = _number(text)
    if number is not None:
        return number
    match = _SPAN.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part)


def _reset(text: str | None, now: float) -> float | None:
    if text is None:
        return None
    span = span_s(text)
    if span is None:
        span = _until_rfc3339(text, now)
    return None if span is None else max(0.0, span)


def _count(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None or number < 0 else int(number)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until_http_date(text: str, now: float) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, _aware(moment).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _until_rfc3339(text: str, now: float) -> float | None:
    try:
        return _aware(dt.datetime.fromisoformat(text.strip())).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
