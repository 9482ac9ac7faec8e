"""Paths inside a JSON document: ``customer.orders[].price``."""

import json
import re

_LAST = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^."]+))(?:\[\])*$')
_NEEDS_QUOTES = re.compile(r'[.\[\]"\s]')


def join(path: str, key: str) -> str:
    """The path of a key below another; a key with dots, brackets or spaces is quoted, so that paths stay unique."""
    part = json.dumps(key, ensure_ascii=False) if not key or _NEEDS_QUOTES.search(key) else key
    return f"{path}.{part}" if path and path != "[]" else part


def leaf(path: str) -> str:
    """The field's own name."""
    found = _LAST.search(path.removesuffix("[]"))
    return path if found is None else found["name"] or found["quoted"]
