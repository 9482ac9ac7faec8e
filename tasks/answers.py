"""Structured answers: a pydantic model is the schema that the provider gets and the check of what comes back."""

import functools
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.model import Rejected, ResponseSchema

M = TypeVar("M", bound=BaseModel)

_FENCE = re.compile(r"```[a-zA-Z]*\n(.*)\n```", re.DOTALL)


@functools.cache
def schema_of(model: type[BaseModel], name: str) -> ResponseSchema:
    """The strict JSON schema of an answer model: every property required, nothing else allowed."""
    return ResponseSchema(name=name, json=_strict(model.model_json_schema()))


def parse(model: type[M], text: str) -> M | Rejected:
    """The answer as a value, or why it is none, in words that a model can act on."""
    try:
        return model.model_validate_json(_unfenced(text), strict=True)
    except ValidationError as exc:
        problems = [
            f"{'.'.join(str(part) for part in error['loc']) or 'answer'}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)[:5]
        ]
        return Rejected(reason="; ".join(problems))


def _unfenced(text: str) -> str:
    # Many models put a fence around their JSON, whatever they were asked; a repair turn for that would be paid twice.
    fenced = _FENCE.fullmatch(text.strip())
    return fenced.group(1) if fenced else text


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: _strict(value) for key, value in node.items() if key not in {"default", "title"} or _is_name(node, key)}
    if node.get("type") == "object" and "properties" in node:
        out["additionalProperties"] = False
        out["required"] = list(node["properties"])
    return out


def _is_name(node: dict[str, Any], key: str) -> bool:
    # Inside "properties" the keys are field names: a field may be called "title".
    return isinstance(node[key], dict)
