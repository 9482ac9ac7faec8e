"""What differs on the wire between OpenAI, Azure OpenAI and Anthropic: error bodies and header names."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from scripts.simulator.limits import Excess, Level
from scripts.simulator.refusals import Refusal

_PAGE = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>"
    "\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)
_REASONS = {502: "Bad Gateway", 504: "Gateway Time-out"}


class Dialect(Protocol):
    """One provider's ways."""

    @property
    def id_header(self) -> str: ...

    @property
    def key_header(self) -> str:
        """The request header that carries the bare key, beside OpenAI's ``Authorization: Bearer``."""
        ...

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]: ...

    def limits(self, levels: Sequence[Level], wall: float) -> dict[str, str]: ...

    def over_limit(self, excess: Excess, model: str) -> Refusal: ...


class OpenAI:
    id_header = "x-request-id"
    key_header = "api-key"

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:  # noqa: ARG002  in the header only
        return {
            "error": {
                "message": refusal.message,
                "type": refusal.type,
                "param": refusal.param,
                "code": refusal.code,
            }
        }

    def limits(self, levels: Sequence[Level], wall: float) -> dict[str, str]:  # noqa: ARG002  durations, no dates
        headers = {}
        for level in levels:
            headers[f"x-ratelimit-limit-{level.dimension}"] = str(level.limit)
            headers[f"x-ratelimit-remaining-{level.dimension}"] = str(level.remaining)
            headers[f"x-ratelimit-reset-{level.dimension}"] = go_duration(level.reset_s)
        return headers

    def over_limit(self, excess: Excess, model: str) -> Refusal:
        name = "requests per min (RPM)" if excess.dimension == "requests" else "tokens per min (TPM)"
        if excess.retry_s is None:
            return _over(
                excess,
                f"Request too large for {model} in organization org-simulator on {name}: Limit {excess.limit}, "
                f"Requested {excess.asked}. The input or output tokens must be reduced in order to run successfully.",
            )
        return _over(
            excess,
            f"Rate limit reached for {model} in organization org-simulator on {name}: Limit {excess.limit}, "
            f"Requested {excess.asked}. Please try again in {go_duration(excess.retry_s)}.",
        )


class Azure:
    id_header = "apim-request-id"
    key_header = "api-key"

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:  # noqa: ARG002  in the header only
        if refusal.code == "content_filter":
            filtered = {name: {"filtered": name == "violence", "severity": "safe"} for name in ("hate", "violence")}
            return {
                "error": {
                    "message": refusal.message,
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": filtered},
                }
            }
        if refusal.status == 400:
            return OpenAI().error(refusal, "")
        return {"error": {"code": refusal.code or str(refusal.status), "message": refusal.message}}

    def limits(self, levels: Sequence[Level], wall: float) -> dict[str, str]:  # noqa: ARG002  no resets at all
        # Azure says -1 where it counts nothing.
        known: dict[str, Level] = {level.dimension: level for level in levels}
        headers = {}
        for dimension in ("requests", "tokens"):
            level = known.get(dimension)
            headers[f"x-ratelimit-limit-{dimension}"] = str(level.limit if level else -1)
            headers[f"x-ratelimit-remaining-{dimension}"] = str(level.remaining if level else -1)
        return headers

    def over_limit(self, excess: Excess, model: str) -> Refusal:  # noqa: ARG002  it names the operation instead
        name = "call" if excess.dimension == "requests" else "token"
        return _over(
            excess,
            f"Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded {name} rate limit "
            f"of your current OpenAI S0 pricing tier. Please retry after {_whole_seconds(excess.retry_s)} seconds.",
            code="429",
        )


class Anthropic:
    id_header = "request-id"
    key_header = "x-api-key"

    _TYPES: Mapping[int, str] = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        fallback = "api_error" if refusal.status >= 500 else "invalid_request_error"
        kind = self._TYPES.get(refusal.status, fallback)
        return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id}

    def limits(self, levels: Sequence[Level], wall: float) -> dict[str, str]:
        headers = {}
        for level in levels:
            reset = dt.datetime.fromtimestamp(wall + level.reset_s, dt.UTC)
            prefix = f"anthropic-ratelimit-{level.dimension}"
            headers[f"{prefix}-limit"] = str(level.limit)
            headers[f"{prefix}-remaining"] = str(level.remaining)
            headers[f"{prefix}-reset"] = reset.isoformat(timespec="seconds").replace("+00:00", "Z")
        return headers

    def over_limit(self, excess: Excess, model: str) -> Refusal:  # noqa: ARG002  it names the organization only
        return _over(
            excess,
            f"This request would exceed your organization's rate limit of {excess.limit:,} {excess.dimension} per "
            "minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits.",
        )


OPENAI = OpenAI()
AZURE = Azure()
ANTHROPIC = Anthropic()


def error_body(dialect: Dialect, refusal: Refusal, request_id: str) -> tuple[bytes, str]:
    """The body of a refusal and its content type."""
    if refusal.page:
        page = _PAGE.format(status=refusal.status, reason=_REASONS.get(refusal.status, "Error"))
        return page.encode(), "text/html"
    return orjson.dumps(dialect.error(refusal, request_id)), "application/json"


def retry_headers(seconds: float) -> dict[str, str]:
    """Retry-After in whole seconds, rounded up as providers do, and to the millisecond."""
    return {"retry-after": str(_whole_seconds(seconds)), "retry-after-ms": str(-int(-seconds * 1000 // 1))}


def go_duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: ``12ms``, ``8.64s``, ``6m0s``, ``1h0m0s``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    hours, rest = divmod(round(seconds, 3), 3600)
    minutes, rest = divmod(rest, 60)
    tail = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours:.0f}h{minutes:.0f}m{tail}"
    return f"{minutes:.0f}m{tail}" if minutes else tail


def _over(excess: Excess, message: str, code: str = "rate_limit_exceeded") -> Refusal:
    headers = {} if excess.retry_s is None else retry_headers(excess.retry_s)
    return Refusal(status=429, message=message, type=excess.dimension, code=code, headers=headers)


def _whole_seconds(seconds: float | None) -> int:
    return 86_400 if seconds is None else max(1, -int(-seconds // 1))
