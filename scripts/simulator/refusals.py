"""How providers say no: OpenAI's own errors, word for word where they are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DOCS = "https://platform.openai.com/docs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error answer. ``page``: an HTML page in place of JSON, as gateways send it."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    page: bool = False


class Refused(Exception):
    """Ends a request with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> Refused:
    """A 400 about the request's own content."""
    return Refused(Refusal(status=400, message=message, param=param, code=code))


def not_json() -> Refused:
    return bad_request(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
    )


def no_key() -> Refused:
    return Refused(
        Refusal(
            status=401,
            message="You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    )


def wrong_key(given: str) -> Refused:
    shown = given if len(given) < 8 else f"{given[:3]}{'*' * 8}{given[-4:]}"
    return Refused(
        Refusal(
            status=401,
            message=f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )
    )


def no_such_model(model: str) -> Refused:
    return Refused(
        Refusal(
            status=404,
            message=f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    )


def no_such_path(method: str, path: str) -> Refused:
    return Refused(Refusal(status=404, message=f"Invalid URL ({method} {path})"))


def wrong_method(method: str) -> Refused:
    return Refused(
        Refusal(
            status=405,
            message=f"Not allowed to {method} on this path. (HINT: Perhaps you meant to use a different HTTP method?)",
        )
    )


def too_large() -> Refused:
    return Refused(Refusal(status=413, message="Maximum content size limit exceeded."))


def our_own_fault() -> Refused:
    return Refused(Refusal(status=500, message="The simulator failed; its log says why.", type="server_error"))
