"""The error tree.

LlmsweepError
├── InputError                what the user gave cannot be used; shown as one message, exit code 2
├── Unavailable               a server of ours is away: wait and go on, never lose work
│   ├── LedgerUnavailable         PostgreSQL away, read-only or full
│   ├── GateUnavailable           broker/gate server away: nothing may be sent (fail closed)
│   └── CacheUnavailable          cache server away: go on without it
├── LedgerRefused             PostgreSQL cannot hold this value, today or ever; only its own job fails
└── ProviderError             a call did not bring a usable answer
    ├── ProviderRefused           the provider answered with an HTTP error status
    ├── ProviderUnreachable       no connection, or the connection broke before the answer was whole
    ├── ProviderTimeout           connect, request or total deadline passed
    └── MalformedAnswer           status 200, but not an answer: bad JSON, HTML, null, no choices, too large

Foreign exceptions are translated into these once, where they enter (``raise ... from exc``).
"""

from dataclasses import dataclass, field

from core.model import LimitHint, Usage


class LlmsweepError(Exception):
    """Base of everything that llmsweep raises on purpose."""


class InputError(LlmsweepError):
    """What the user gave cannot be used.

    ``message`` says what and where, ``hint`` what to do about it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Unavailable(LlmsweepError):
    """A server of ours is away; the work is kept and goes on when it is back."""


class LedgerUnavailable(Unavailable):
    """PostgreSQL is away, read-only or full."""


class LedgerRefused(LlmsweepError):
    """PostgreSQL cannot hold this value, today or ever."""


class GateUnavailable(Unavailable):
    """The broker/gate server is away; nothing may be sent until it is back."""


class CacheUnavailable(Unavailable):
    """The cache server is away; lookups miss and writes are skipped."""


@dataclass(eq=False)
class ProviderError(LlmsweepError):
    """A call did not bring a usable answer. ``core.retry.classify`` decides what that means.

    ``message`` never holds a key. ``body`` is at most 2 kB of what came back. ``latency_ms`` counts from sending.
    """

    message: str
    body: str = ""
    latency_ms: float = 0.0
    usage: Usage | None = None
    limits: tuple[LimitHint, ...] = ()

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class ProviderRefused(ProviderError):
    """The provider answered with an HTTP error status.

    ``code`` and ``type`` are the provider's own words (``insufficient_quota``, ``content_filter`` ...);
    ``retry_after`` is in seconds from now, already parsed from ``retry-after-ms``, seconds or an HTTP date.
    """

    status: int = 0
    code: str = ""
    type: str = ""
    retry_after: float | None = None
    should_retry: bool | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class ProviderUnreachable(ProviderError):
    """No connection, or it broke before the answer was whole."""


@dataclass(eq=False)
class ProviderTimeout(ProviderError):
    """Connect, request or total deadline passed. The provider may still have done, and billed, the work."""


@dataclass(eq=False)
class MalformedAnswer(ProviderError):
    """Status 200, but not an answer: bad JSON, HTML, ``null``, no choices, or over the size cap."""
