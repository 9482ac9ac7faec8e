"""The faults that are an error status, as the providers word them."""

import email.utils
from collections.abc import Callable, Mapping

from scripts.simulator.dialects import retry_headers
from scripts.simulator.refusals import DOCS, Refusal, no_such_model

_RETRY_S = 1.0
_OVERLOADED = "The server is currently overloaded with other requests. Sorry about that! You can retry your request."
_SORRY = (
    "The server had an error while processing your request. Sorry about that! You can retry your request, or contact "
    "us through our help center at help.openai.com if you keep seeing this error."
)
_FILTERED = (
    "The response was filtered due to the prompt triggering the content management policy. Please modify your prompt "
    "and retry."
)
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    f"read the docs: {DOCS}/guides/error-codes/api-errors."
)
_LIMIT = (
    "Rate limit reached for {model} in organization org-simulator on requests per min (RPM): Limit 3, Used 3, "
    "Requested 1. Please try again in 1s."
)


def _server_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(status=status, message=message, type="server_error", headers=headers or {})


def _page(status: int) -> Refusal:
    return Refusal(status=status, message="", page=True)


def _rate_limited(model: str, headers: Mapping[str, str]) -> Refusal:
    return Refusal(
        status=429,
        message=_LIMIT.format(model=model),
        type="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def _http_date(wall: float) -> str:
    # Whole seconds only: a second more, so that it is never in the past on arrival.
    return email.utils.formatdate(wall + _RETRY_S + 1, usegmt=True)


STATUSES: Mapping[str, Callable[[str, float], Refusal]] = {
    "400": lambda _model, _wall: Refusal(
        status=400, message="Invalid value: 'simulated'. Supported values are: 'real'.", code="invalid_value"
    ),
    "400-retry": lambda _model, _wall: Refusal(
        status=400, message="Simulated: this one asks to be retried.", headers={"x-should-retry": "true"}
    ),
    "401": lambda _model, _wall: Refusal(
        status=401, message="Incorrect API key provided: sk-simul****ated.", code="invalid_api_key"
    ),
    "403": lambda _model, _wall: Refusal(
        status=403,
        message="Country, region, or territory not supported",
        type="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    "404": lambda model, _wall: no_such_model(model).refusal,
    "408": lambda _model, _wall: Refusal(status=408, message="Request timed out.", type="timeout"),
    "409": lambda _model, _wall: Refusal(status=409, message="The resource was updated by another request."),
    "413": lambda _model, _wall: Refusal(status=413, message="Maximum content size limit exceeded."),
    "422": lambda _model, _wall: Refusal(status=422, message="Unprocessable entity: simulated."),
    "429": lambda model, _wall: _rate_limited(model, retry_headers(_RETRY_S)),
    "429-ms": lambda model, _wall: _rate_limited(model, {"retry-after-ms": str(int(_RETRY_S * 1000))}),
    "429-date": lambda model, wall: _rate_limited(model, {"retry-after": _http_date(wall)}),
    "429-bare": lambda model, _wall: _rate_limited(model, {}),
    "429-quota": lambda _model, _wall: Refusal(
        status=429, message=_QUOTA, type="insufficient_quota", code="insufficient_quota"
    ),
    "500": lambda _model, _wall: _server_error(500, _SORRY),
    "500-no-retry": lambda _model, _wall: _server_error(500, _SORRY, {"x-should-retry": "false"}),
    "502": lambda _model, _wall: _page(502),
    "503": lambda _model, _wall: _server_error(503, _OVERLOADED),
    "504": lambda _model, _wall: _page(504),
    "529": lambda _model, _wall: Refusal(status=529, message="Overloaded", type="overloaded_error"),
    "content-filter": lambda _model, _wall: Refusal(
        status=400, message=_FILTERED, param="prompt", code="content_filter"
    ),
    "flapping": lambda _model, _wall: _server_error(503, _OVERLOADED),
    "poison": lambda _model, _wall: Refusal(
        status=400, message="Invalid 'input': simulated poison.", param="input", code="invalid_value"
    ),
}
"""Fault -> its refusal, given the model and the wall time."""
