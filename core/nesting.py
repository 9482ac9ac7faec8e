"""How deep JSON from outside is nested: writers and validators give up, or run out of stack, where readers do not."""

from typing import Any

DEEPEST = 100
"""Levels. orjson writes 254 with ours around it, Python's own JSON gives up at 1,000."""

_NESTS = frozenset({dict, list})


def is_deep(value: Any) -> bool:
    """Whether a parsed JSON value has more than ``DEEPEST`` levels of objects and lists."""
    level = [value] if type(value) in _NESTS else []
    for _ in range(DEEPEST):
        if not level:
            return False
        inner: list[Any] = []
        for outer in level:
            items = outer.values() if isinstance(outer, dict) else outer
            if not _NESTS.isdisjoint(map(type, items)):  # a list of 3,072 numbers is passed at the speed of C
                inner += [item for item in items if type(item) in _NESTS]
        level = inner
    return bool(level)
