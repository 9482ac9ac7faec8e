"""JSON Schema files: properties with their types, formats and descriptions; nothing of their literals."""

from collections.abc import Iterator
from typing import Any

from db.introspect import Category
from tasks.dictionary.facts import SemanticType
from tasks.dictionary.fields import FieldTable, SourceField
from tasks.dictionary.json_path import join

_DEEPEST = 24
_MOST_FIELDS = 20_000
_FORMATS = {
    "email": SemanticType.EMAIL,
    "idn-email": SemanticType.EMAIL,
    "uri": SemanticType.URL,
    "uri-reference": SemanticType.URL,
    "iri": SemanticType.URL,
    "uuid": SemanticType.UUID,
    "date": SemanticType.DATE,
    "time": SemanticType.TIME,
    "date-time": SemanticType.TIMESTAMP,
    "duration": SemanticType.DURATION,
    "ipv4": SemanticType.IP_ADDRESS,
    "ipv6": SemanticType.IP_ADDRESS,
}
_CATEGORIES = {
    "string": Category.TEXT,
    "integer": Category.NUMBER,
    "number": Category.NUMBER,
    "boolean": Category.BOOLEAN,
    "object": Category.JSON,
    "array": Category.ARRAY,
}


def is_schema(document: Any) -> bool:
    """Whether a document describes others."""
    if not isinstance(document, dict):
        return False
    if "json-schema.org" in str(document.get("$schema", "")):
        return True
    return document.get("type") == "object" and isinstance(document.get("properties"), dict)


def table(schema: dict[str, Any], name: str) -> FieldTable:
    """The schema's fields; definitions that nothing at the root refers to are roots themselves."""
    fields = list(_Schema(schema).fields())
    return FieldTable(
        name=name,
        kind="JSON schema",
        comment=str(schema.get("description") or schema.get("title") or ""),
        fields=fields[:_MOST_FIELDS],
        sampled=len(fields) > _MOST_FIELDS,
        dotted=True,
    )


class _Schema:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._yielded = 0

    def fields(self) -> Iterator[SourceField]:
        found = list(self._children("", self._root, ()))
        if found:
            yield from found
            return
        for key in ("$defs", "definitions"):
            for name, definition in (self._root.get(key) or {}).items():
                yield from self._children(name, definition, ())

    def _children(self, path: str, node: Any, trail: tuple[str, ...]) -> Iterator[SourceField]:
        node, trail = self._resolve(node, trail)
        if len(trail) > _DEEPEST or path.count(".") > _DEEPEST or self._yielded > _MOST_FIELDS:
            return
        required = set(node.get("required") or ())
        for name, child in self._properties(node):
            inner = join(path, name)
            self._yielded += 1
            yield self._field(inner, child, required=name in required, trail=trail)
            yield from self._children(inner, child, trail)
        items = node.get("items")
        if isinstance(items, dict):
            yield from self._children(f"{path}[]", items, trail)
        extra = node.get("additionalProperties")
        if isinstance(extra, dict) and path:
            yield from self._children(join(path, "*"), extra, trail)

    def _properties(self, node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        parts = [
            node,
            *(self._resolve(part, ())[0] for key in ("allOf", "oneOf", "anyOf") for part in _list(node.get(key))),
        ]
        for part in parts:
            for name, child in (part.get("properties") or {}).items():
                if name not in seen:
                    seen.add(name)
                    yield name, child

    def _field(self, path: str, node: Any, *, required: bool, trail: tuple[str, ...]) -> SourceField:
        own = node if isinstance(node, dict) else {}
        node, _ = self._resolve(node, trail)
        types = self._types(node)
        known = [name for name in types if name != "null"]
        labels = len(_list(node.get("enum"))) or (1 if "const" in node else 0)
        default = node.get("default")
        return SourceField(
            name=path,
            type=" | ".join(known) or "any",
            category=_CATEGORIES.get(known[0], Category.OTHER) if len(known) == 1 else Category.OTHER,
            nullable=not required or "null" in types,
            default="" if default is None or default in ("", [], {}) else f"'{default}'",
            comment=str(own.get("description") or node.get("description") or own.get("title") or ""),
            labels=labels,
            meaning=_FORMATS.get(str(node.get("format"))),
        )

    def _types(self, node: dict[str, Any]) -> list[str]:
        told = node.get("type")
        if isinstance(told, str):
            return [told]
        if isinstance(told, list):
            return [str(name) for name in told]
        union = [
            self._types(self._resolve(part, ())[0])
            for key in ("anyOf", "oneOf", "allOf")
            for part in _list(node.get(key))
        ]
        found = list(dict.fromkeys(name for names in union for name in names))
        return found or (["object"] if "properties" in node else [])

    def _resolve(self, node: Any, trail: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Follows local references; one that leads back into itself ends there."""
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            reference = node["$ref"]
            if reference in trail or not reference.startswith("#"):
                return {}, trail
            trail = (*trail, reference)
            node = self._lookup(reference)
        return (node if isinstance(node, dict) else {}), trail

    def _lookup(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.removeprefix("#").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if name:
                node = node.get(name) if isinstance(node, dict) else None
        return node


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
