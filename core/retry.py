"""THE failure policy: what a failed call means, and how long to wait. Nothing else in the house retries a call.

The first row that applies decides (``_TABLE`` is this table, row by row):

| what came back | decision |
| --- | --- |
| connection, timeout, truncated or malformed body | Retry, counts against the breaker |
| content filter, refusal | Fail |
| 401, 402, 403; exhausted credit or quota under any status | Park |
| 429 because this one request is over the limit by itself | Fail: it can never pass |
| 429 with ``x-should-retry: false`` | Park: a quota that waiting does not mend |
| 429 | Retry, throttled: freeze until Retry-After, neutral to the breaker, a bound of its own |
| ``x-should-retry: false`` | Fail |
| 408, 409, 5xx, ``x-should-retry: true`` | Retry, counts against the breaker |
| everything else (3xx, 400, 404, 413, 422 ...) | Fail with the provider's message |
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import tenacity

from core.errors import ProviderError, ProviderRefused
from core.ports import Health
from core.settings import ProviderSettings

DEFAULT_FREEZE_S = 1.0
"""How long a 429 without Retry-After stops the cluster; the call itself backs off exponentially on top."""

LONGEST_FREEZE_S = 86_400.0
"""A 429 that asks for more than a day is asked again after a day: quotas are daily at most."""

LONGEST_PAUSE_S = 120.0
"""A 5xx is a guess about when the server will be well; no call waits longer for it."""

THROTTLE_ATTEMPTS = 100
"""How many 429s one call survives. Each waited for its turn, so this bounds a provider that never lets anybody in."""

_OUT_OF_MONEY = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "account_deactivated",
        "access_terminated",
    }
)
# Anthropic has no code for an empty account: it is a 400 with this sentence. ("exceeded your current quota" is no such
# sign: Google's endpoint says it of requests a minute.)
_NO_CREDIT = re.compile(r"credit balance is too low", re.IGNORECASE)
# OpenAI's 429 for a single request above the tokens a minute: waiting does not make it smaller.
_TOO_LARGE = re.compile(r"^request too large\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Send it again. ``after_s``: what the server asked for; None: the policy's backoff."""

    health: Health
    after_s: float | None = None
    freeze_s: float | None = None  # nobody sends to this provider for so long
    throttled: bool = False  # a 429: bounded by ``RetryPolicy.throttle_attempts`` instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Stop the provider for this sweep: a person has to act. The job stays pending."""

    reason: str
    health: Health = Health.NEUTRAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """This job fails at once; the others go on."""

    reason: str
    health: Health = Health.NEUTRAL


Decision: TypeAlias = Retry | Park | Fail


def classify(error: ProviderError) -> Decision:
    """What a failed call means: the first row of the table that applies. Pure."""
    if not isinstance(error, ProviderRefused):
        return Retry(health=Health.BAD)
    return next(decide(error) for applies, decide in _TABLE if applies(error))


def _is_out_of_money(error: ProviderRefused) -> bool:
    return bool({error.code, error.type} & _OUT_OF_MONEY or _NO_CREDIT.search(error.message))


def _is_transient(error: ProviderRefused) -> bool:
    return error.should_retry is True or error.status in {408, 409} or error.status >= 500


def _fail(error: ProviderRefused) -> Fail:
    return Fail(reason=error.message, health=Health.BAD if error.status >= 500 else Health.NEUTRAL)


def _park(error: ProviderRefused) -> Park:
    return Park(reason=error.message)


def _throttle(error: ProviderRefused) -> Retry:
    after_s = _bounded(error.retry_after, LONGEST_FREEZE_S)
    freeze_s = DEFAULT_FREEZE_S if after_s is None else after_s
    return Retry(health=Health.NEUTRAL, after_s=after_s, freeze_s=freeze_s, throttled=True)


def _again(error: ProviderRefused) -> Retry:
    return Retry(health=Health.BAD, after_s=_bounded(error.retry_after, LONGEST_PAUSE_S))


def _bounded(seconds: float | None, longest: float) -> float | None:
    return None if seconds is None else min(max(seconds, 0.0), longest)


_TABLE: tuple[tuple[Callable[[ProviderRefused], bool], Callable[[ProviderRefused], Decision]], ...] = (
    (lambda e: e.code == "content_filter", _fail),
    (lambda e: e.status in {401, 402, 403} or _is_out_of_money(e), _park),
    (lambda e: e.status == 429 and bool(_TOO_LARGE.search(e.message)), _fail),
    (lambda e: e.status == 429 and e.should_retry is False, _park),
    (lambda e: e.status == 429, _throttle),
    (lambda e: e.should_retry is False, _fail),
    (_is_transient, _again),
    (lambda _: True, _fail),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long: exponential backoff with full jitter between ``min_wait`` and a growing window.

    The n-th wait is uniform in [min_wait, min(max_wait, base * multiplier^n)], base = min_wait but at least 1 s: a
    minimum of 0 would otherwise never grow. Times in seconds.
    Source of the scheme: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 3
    throttle_attempts: int = THROTTLE_ATTEMPTS
    multiplier: float = 2.0
    min_wait: float = 4.0
    max_wait: float = 30.0
    rng: random.Random = field(default_factory=random.Random, compare=False, repr=False)

    @classmethod
    def of(cls, settings: ProviderSettings) -> "RetryPolicy":
        return cls(
            attempts=settings.max_retry_attempts,
            multiplier=settings.retry_multiplier,
            min_wait=settings.retry_min_wait,
            max_wait=settings.retry_max_wait,
        )

    def exhausted(self, *, tries: int, throttled: int = 0) -> bool:
        """Whether a call that failed ``tries`` times, and was throttled ``throttled`` times, has had its chances."""
        failed_out = tenacity.stop_after_attempt(self.attempts)(_state(tries))
        return failed_out or tenacity.stop_after_attempt(self.throttle_attempts)(_state(throttled))

    def wait_s(self, retry: Retry, *, tries: int, throttled: int = 0) -> float:
        """Seconds until the next try. ``tries`` failures and ``throttled`` 429s lie behind the call.

        What the server asked for is obeyed as it is: it knows, and after a 429 the gate spreads the calls.
        """
        if retry.after_s is not None:
            return retry.after_s
        nth = max(1, throttled if retry.throttled else tries)
        # tenacity.wait_random_exponential is this window with the module's own randomness; ours is injected.
        window = tenacity.wait_exponential(
            multiplier=max(self.min_wait, 1.0) * self.multiplier,
            exp_base=self.multiplier,
            min=self.min_wait,
            max=self.max_wait,
        )
        return self.rng.uniform(self.min_wait, window(_state(nth)))


def _state(attempt: int) -> tenacity.RetryCallState:
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt
    return state
