"""Reading ``/v1/chat/completions``: what OpenAI refuses is refused here in the same words."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.model import Message, ResponseSchema
from scripts.simulator.counting import Counting
from scripts.simulator.refusals import Refused, bad_request

CONTEXT_TOKENS = 128_000
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAsk:
    """A well-formed chat request of either dialect."""

    model: str
    messages: tuple[Message, ...]
    fingerprint: bytes
    prompt_tokens: int
    max_tokens: int | None = None
    varies: bool = False  # temperature > 0 without a seed: the same request may be answered otherwise
    schema: ResponseSchema | None = None
    json_object: bool = False
    tool: str = ""  # Anthropic: the answer is this tool's input


def read_chat(body: Mapping[str, Any], model: str, counting: Counting) -> ChatAsk:
    """``model``: the Azure deployment, "" where the body names it. Raises Refused."""
    named = model or body.get("model")
    if not named or not isinstance(named, str):
        raise bad_request("you must provide a model parameter")
    _refuse_unsupported(body)
    messages = read_messages(body.get("messages"))
    schema, json_object = _response_format(body.get("response_format"), messages)
    prompt_tokens = counting.prompt(messages, named, schema)
    if prompt_tokens > CONTEXT_TOKENS:
        raise bad_request(
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your messages resulted in "
            f"{prompt_tokens} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    return ChatAsk(
        model=named,
        messages=messages,
        fingerprint=fingerprint({**body, "model": named}),
        prompt_tokens=prompt_tokens,
        max_tokens=_max_tokens(body),
        varies=_temperature(body, 2) > 0 and body.get("seed") is None,
        schema=schema,
        json_object=json_object,
    )


def fingerprint(body: Mapping[str, Any]) -> bytes:
    """SHA-256 of the canonical body: keys sorted, no white space."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


def read_messages(given: Any) -> tuple[Message, ...]:
    """Messages with their text parts joined. Raises Refused."""
    if not isinstance(given, list):
        raise bad_request(
            "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    if not given:
        raise bad_request(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(given))


def text_of(content: Any, where: str) -> str:
    """A content's text: a string, or a list of text parts; other parts are left out. Raises Refused."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise _wrong_type(where, "one of a string or array of objects", content)


def _message(given: Any, where: str) -> Message:
    if not isinstance(given, dict):
        raise _wrong_type(where, "an object", given)
    role = given.get("role")
    if role not in _ROLES:
        raise bad_request(
            f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
            "'developer'.",
            param=f"{where}.role",
            code="invalid_value",
        )
    if given.get("content") is None and role != "assistant":
        raise bad_request(
            f"Invalid value for 'content': expected a string, got null. ({where}.content)",
            param=f"{where}.content",
        )
    return Message(role=role, content=text_of(given.get("content"), f"{where}.content"))


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    if body.get("stream"):
        raise bad_request(
            "The simulator does not stream: set 'stream' to false.", param="stream", code="unsupported_value"
        )
    if body.get("n") not in {None, 1}:
        raise bad_request(
            "The simulator answers one choice a request: set 'n' to 1.", param="n", code="unsupported_value"
        )


def _temperature(body: Mapping[str, Any], highest: float) -> float:
    value = body.get("temperature")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type("temperature", "a decimal", value)
    if not 0 <= value <= highest:
        bound, side = (highest, "maximum") if value > 0 else (0, "minimum")
        raise bad_request(
            f"Invalid 'temperature': decimal {'above' if value > 0 else 'below'} {side} value. Expected a value "
            f"{'<=' if value > 0 else '>='} {bound}, but got {value} instead.",
            param="temperature",
            code=f"decimal_{'above_max' if value > 0 else 'below_min'}_value",
        )
    return float(value)


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an integer", value)
        if value < 1:
            raise bad_request(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
                param=name,
                code="integer_below_min_value",
            )
        return value
    return None


def _response_format(given: Any, messages: Sequence[Message]) -> tuple[ResponseSchema | None, bool]:
    if given is None:
        return None, False
    kind = given.get("type") if isinstance(given, dict) else None
    match kind:
        case "text":
            return None, False
        case "json_object":
            if not any("json" in message.content.lower() for message in messages):
                raise bad_request(
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                    "'json_object'.",
                    param="messages",
                )
            return None, True
        case "json_schema":
            return _schema(given.get("json_schema")), False
        case _:
            raise bad_request(
                f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
                param="response_format.type",
                code="invalid_value",
            )


def _schema(given: Any) -> ResponseSchema:
    where = "response_format.json_schema"
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise bad_request(
            f"Missing required parameter: '{where}.name'.", param=f"{where}.name", code="missing_required_parameter"
        )
    schema = given.get("schema", {})
    if not isinstance(schema, dict):
        raise _wrong_type(f"{where}.schema", "an object", schema)
    if given.get("strict"):
        problem = _strictness(orjson.dumps(schema))
        if problem:
            raise bad_request(
                f"Invalid schema for response_format '{given['name']}': {problem}", param="response_format"
            )
    return ResponseSchema(name=given["name"], json=schema)


@functools.lru_cache(maxsize=256)
def _strictness(schema: bytes) -> str:
    """What OpenAI's strict mode has against a schema, "" for nothing."""
    return _not_strict(orjson.loads(schema), ())


def _not_strict(node: Any, path: tuple[str, ...]) -> str:
    if isinstance(node, list):
        return next(filter(None, (_not_strict(item, path) for item in node)), "")
    if not isinstance(node, dict):
        return ""
    named = node.get("properties")
    if node.get("type") == "object" and isinstance(named, dict):
        if node.get("additionalProperties") is not False:
            return f"In context={path}, 'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in named if name not in node.get("required", ())]
        if missing:
            return (
                f"In context={path}, 'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing[0]}'."
            )
    return next(filter(None, (_not_strict(value, (*path, key)) for key, value in node.items())), "")


def _wrong_type(where: str, expected: str, got: Any) -> Refused:
    return bad_request(
        f"Invalid type for '{where}': expected {expected}, but got {_JSON_TYPES.get(type(got), 'null')} instead.",
        param=where,
        code="invalid_type",
    )


_JSON_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
}
