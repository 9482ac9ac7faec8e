"""Anthropic's ``/v1/messages``: read into the same ask, rendered in its own shape."""

from collections.abc import Mapping
from typing import Any

import orjson

from core.model import Message, ResponseSchema
from scripts.simulator.chat import CONTEXT_TOKENS, ChatAsk, fingerprint, text_of
from scripts.simulator.completions import Completion
from scripts.simulator.counting import Counting
from scripts.simulator.refusals import Refused, bad_request

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def read_message_request(body: Mapping[str, Any], counting: Counting) -> ChatAsk:
    """Raises Refused, in Anthropic's words."""
    model = body.get("model")
    if not model or not isinstance(model, str):
        raise _required("model")
    max_tokens = body.get("max_tokens")
    if max_tokens is None:
        raise _required("max_tokens")
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise bad_request("max_tokens: Input should be greater than or equal to 1")
    if body.get("stream"):
        raise bad_request("stream: the simulator does not stream")
    temperature = body.get("temperature") or 0
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 1:
        raise bad_request("temperature: range: 0..1")
    messages = _messages(body)
    schema, tool = _structure(body)
    prompt_tokens = counting.prompt(messages, model, schema)
    if prompt_tokens > CONTEXT_TOKENS:
        raise bad_request(f"prompt is too long: {prompt_tokens} tokens > {CONTEXT_TOKENS} maximum")
    return ChatAsk(
        model=model,
        messages=messages,
        fingerprint=fingerprint(body),
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        varies=temperature > 0,
        schema=schema,
        tool=tool,
    )


def render_message(ask: ChatAsk, completion: Completion, request_id: str) -> dict[str, Any]:
    """Anthropic's ``message``; ``input_tokens`` leaves out what its cache gave."""
    stop = _STOP_REASONS[completion.finish]
    if ask.tool and completion.text:
        block = {"type": "tool_use", "id": f"toolu_{request_id}", "name": ask.tool, "input": _object(completion.text)}
        content, stop = [block], "tool_use" if stop == "end_turn" else stop
    else:
        content = [{"type": "text", "text": completion.text}] if completion.text else []
    return {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": completion.price.prompt - completion.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": completion.cached_tokens,
            "output_tokens": completion.price.completion,
            "service_tier": "standard",
        },
    }


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    given = body.get("messages")
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise _required("messages")
    if not given:
        raise bad_request("messages: at least one message is required")
    found = []
    if body.get("system"):
        found.append(Message(role="system", content=text_of(body["system"], "system")))
    for index, message in enumerate(given):
        if message.get("role") not in {"user", "assistant"}:
            raise bad_request(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        found.append(Message(role=message["role"], content=text_of(message.get("content"), f"messages.{index}")))
    return tuple(found)


def _structure(body: Mapping[str, Any]) -> tuple[ResponseSchema | None, str]:
    """The schema that the answer must satisfy, and the tool whose input it is, if it is one."""
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if isinstance(wanted, dict) and isinstance(wanted.get("schema"), dict):
        return ResponseSchema(name="output", json=wanted["schema"]), ""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "tool":
        return None, ""
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict) and tool.get("name") == choice["name"]]
    if not tools:
        raise bad_request(f"Tool '{choice.get('name')}' not found in provided tools")
    return ResponseSchema(name=choice["name"], json=tools[0].get("input_schema") or {}), choice["name"]


def _object(text: str) -> Any:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        # Cut off by max_tokens, or spoiled: Anthropic sends an object all the same.
        return {"text": text}
    return found if isinstance(found, dict) else {"value": found}


def _required(field: str) -> Refused:
    return bad_request(f"{field}: Field required")
