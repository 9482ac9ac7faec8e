"""JSON documents, JSON lines and JSON Schema files as field tables: one field a path (``items[].price``)."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.introspect import Category
from tasks.dictionary import json_schema
from tasks.dictionary.fields import FieldTable, Policy, SourceField
from tasks.dictionary.json_path import join
from tasks.dictionary.json_stream import elements
from tasks.dictionary.statistics import CELLS, Profile
from tasks.dictionary.tabular import text_encoding
from tasks.kind import Problem

_DEEPEST = 32
_MOST_PATHS = 10_000
# Keys like these are data (a map by customer, by day), not names: they are folded into one path.
_DATA_KEY = re.compile(
    r"\S+@\S+|[-+]?\d[\d.,:/TZ_ -]*|\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?|[0-9a-fA-F]{16,}"
    r"|https?://.*|.{81,}",
    re.DOTALL,
)
_MAP_KEYS = 60  # an object with more keys than this, their values alike, is a map as well
_ALIKE = 3  # objects of one form under different keys: a map by the key
_SPARSE_KEYS, _SPARSE = 20, 0.2
_ANY_KEY = "*"


def table(path: Path, name: str, *, encoding: str, policy: Policy) -> FieldTable | Problem:
    """The document's fields, or why it has none."""
    try:
        with path.open(encoding=text_encoding(path, encoding)) as file:
            records = elements(file, lines=path.suffix.lower() in {".jsonl", ".ndjson"})
            return _table(path, name, records, policy)
    except UnicodeDecodeError as exc:
        return Problem(where=str(path), what=f"not {exc.encoding} text (byte {exc.start}): give its encoding")
    except json.JSONDecodeError as exc:
        return Problem(where=f"{path}:{exc.lineno}", what=f"not JSON: {exc.msg}")
    except RecursionError:
        return Problem(where=str(path), what="nested too deeply")
    except (OSError, LookupError, ValueError) as exc:
        return Problem(where=str(path), what=str(exc))


def _table(path: Path, name: str, records: Iterator[Any], policy: Policy) -> FieldTable | Problem:
    first = next(records, None)
    if isinstance(first, dict) and json_schema.is_schema(first):
        return json_schema.table(first, name)
    walker = Walker(policy)
    if first is not None:
        walker.record(first)
        for record in records:
            if walker.full:
                break
            walker.record(record)
    if not walker.paths:
        return Problem(where=str(path), what="no object with fields in it")
    return FieldTable(name=name, kind="JSON document", fields=list(walker.fields()), sampled=walker.full, dotted=True)


class _Seen:
    """One path: how often it was there, with which JSON types, and the path of the object that holds it."""

    __slots__ = ("holder", "present", "profile", "types")

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.present = 0
        self.profile = Profile()
        self.types: set[str] = set()


class Walker:
    """Collects the paths of records. Bounded in depth, paths and values."""

    def __init__(self, policy: Policy) -> None:
        self.paths: dict[str, _Seen] = {}
        self.full = False
        self._holders: dict[str, int] = {}
        self._policy = policy
        self._records = self._values = 0

    def record(self, value: Any) -> None:
        """Takes one record in; afterwards ``full`` tells whether that was enough."""
        self._records += 1
        self._visit("", value, 0)
        self.full = self._records >= self._policy.sample_rows or self._values >= CELLS

    def fields(self) -> Iterator[SourceField]:
        """The paths found, parents before children, in the order of their first appearance."""
        maps = self._maps()
        for path, seen in self.paths.items():
            if any(holder in maps for holder in self._above(path)):
                continue
            yield self._field(path, seen)
            if path in maps:
                yield SourceField(name=join(path, _ANY_KEY), type="any", category=Category.OTHER)

    def _field(self, path: str, seen: "_Seen") -> SourceField:
        return SourceField(
            name=path,
            type=" | ".join(sorted(seen.types - {"null"})) or "null",
            category=_category(seen.types),
            nullable="null" in seen.types or seen.present < self._holders[seen.holder],
            profile=seen.profile if self._policy.statistics else None,
        )

    def _maps(self) -> set[str]:
        """Objects with many keys that are each there in few records: the keys are data, whatever they look like."""
        keys = Counter(seen.holder for seen in self.paths.values())
        there: Counter[str] = Counter()
        for seen in self.paths.values():
            there[seen.holder] += seen.present
        return {
            holder
            for holder, count in keys.items()
            if holder in self.paths and count > _SPARSE_KEYS and there[holder] < _SPARSE * count * self._holders[holder]
        }

    def _above(self, path: str) -> Iterator[str]:
        while (seen := self.paths.get(path.removesuffix("[]"))) is not None and seen.holder:
            path = seen.holder
            yield path

    def _visit(self, path: str, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(value, dict):
            self._holders[path] = self._holders.get(path, 0) + 1
            fold = _is_map(value)
            for key, inner in value.items():
                self._note(join(path, _ANY_KEY if fold else key), inner, path, depth)
        elif isinstance(value, list):
            for inner in value:
                self._visit(f"{path}[]", inner, depth + 1)

    def _note(self, path: str, value: Any, holder: str, depth: int) -> None:
        seen = self.paths.get(path)
        if seen is None:
            if len(self.paths) >= _MOST_PATHS:
                return
            seen = self.paths[path] = _Seen(holder)
        self._values += 1
        seen.present += 1
        seen.types.add(_type(value))
        if isinstance(value, list):
            scalars = [inner for inner in value if not isinstance(inner, dict | list)]
            seen.types.update(f"array of {_type(inner)}" for inner in scalars[:100])
            for inner in scalars[:100]:
                self._values += 1
                seen.profile.add(inner)
        elif not isinstance(value, dict):
            seen.profile.add(value)
        self._visit(path, value, depth + 1)


def _is_map(value: dict[str, Any]) -> bool:
    if any(_DATA_KEY.fullmatch(key) for key in value):
        return True
    if len(value) > _MAP_KEYS:
        return len({_type(inner) for inner in value.values()}) == 1
    rows = [frozenset(inner) for inner in value.values() if isinstance(inner, dict)]
    return len(rows) == len(value) >= _ALIKE and len(set(rows)) == 1 and bool(rows[0])


_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _type(value: Any) -> str:
    return _TYPES[type(value)]


def _category(types: set[str]) -> Category:
    known = types - {"null"}
    if any(name.startswith("array") for name in known):
        return Category.ARRAY
    if known and known <= {"integer", "number"}:
        return Category.NUMBER
    simple = {"boolean": Category.BOOLEAN, "object": Category.JSON, "string": Category.TEXT}
    return simple.get(next(iter(known)), Category.OTHER) if len(known) == 1 else Category.OTHER
