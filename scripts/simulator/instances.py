"""The smallest instance of a JSON schema, its words and numbers drawn from a seed."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

_DEEPEST = 24
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "person@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Mapping[str, Any], seed: bytes) -> Any:
    """A value that satisfies the schema's types, lengths, bounds, enums and formats. Patterns are not followed."""
    return _value(schema, schema, seed, 0)


def resolved(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node with its reference (within the schema) followed."""
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    found: Any = root
    for part in reference.lstrip("#").strip("/").split("/"):
        if part:
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _value(node: Any, root: Mapping[str, Any], seed: bytes, depth: int) -> Any:
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return None
    node = _chosen(resolved(node, root), root, depth)
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return node["enum"][_number(seed) % len(node["enum"])]
    kind = _type(node)
    if kind in {"object", "array"}:
        return (_object if kind == "object" else _array)(node, root, seed, depth)
    make = _SCALARS.get(kind)
    return None if make is None else make(node, seed)


def _chosen(node: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """One branch of a choice, all parts of a conjunction."""
    for word in ("anyOf", "oneOf"):
        branches = [resolved(branch, root) for branch in node.get(word, ())]
        if branches:
            # Deep inside a recursive schema the branch without content ends it.
            ranked = sorted(branches, key=lambda branch: (branch.get("type") == "null") != (depth > 3))
            return {**{key: value for key, value in node.items() if key != word}, **ranked[0]}
    for part in node.get("allOf", ()):
        node = {**node, **resolved(part, root)}
    return node


def _type(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in node else "array" if "items" in node else "string"


def _object(node: Mapping[str, Any], root: Mapping[str, Any], seed: bytes, depth: int) -> dict[str, Any]:
    named = node.get("properties", {})
    return {
        name: _value(named.get(name, {"type": "string"}), root, _mix(seed, name), depth + 1)
        for name in node.get("required", ())
    }


def _array(node: Mapping[str, Any], root: Mapping[str, Any], seed: bytes, depth: int) -> list[Any]:
    first = node.get("prefixItems", [])
    items = [*first, *[node.get("items", {})] * (node.get("minItems", 0) - len(first))]
    return [_value(item, root, _mix(seed, str(at)), depth + 1) for at, item in enumerate(items)]


def _string(node: Mapping[str, Any], seed: bytes) -> str:
    if node.get("format") in _FORMATS:
        return _FORMATS[node["format"]]
    text = f"simulated {seed.hex()[:6]}"
    shortest, longest = node.get("minLength", 0), node.get("maxLength", 1 << 30)
    return text.ljust(shortest, ".")[:longest]


def _numeric(node: Mapping[str, Any], seed: bytes, *, whole: bool) -> int | float:
    step = node.get("multipleOf", 1 if whole else 0.5)
    low = node.get("minimum", node.get("exclusiveMinimum", 0))
    high = node.get("maximum", node.get("exclusiveMaximum", low + 100 * step))
    inside = low if "exclusiveMinimum" not in node else low + (step if whole else (high - low) / 4)
    if whole:
        first = -(-inside // step) * step
        return int(first + _number(seed) % max(1, int((high - first) // step)) * step)
    return float(inside + (high - inside) * (_number(seed) % 8) / 16)


def _number(seed: bytes) -> int:
    return int.from_bytes(seed[:4], "little")


def _mix(seed: bytes, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16, key=seed[:32]).digest()


_SCALARS: Mapping[str, Callable[[Mapping[str, Any], bytes], Any]] = {
    "string": _string,
    "integer": lambda node, seed: _numeric(node, seed, whole=True),
    "number": lambda node, seed: _numeric(node, seed, whole=False),
    "boolean": lambda _node, seed: bool(_number(seed) % 2),
}
