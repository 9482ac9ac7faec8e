"""Names of fields and tables, joined by dots so that no two are alike: ``sales.customer.email``."""

import re

from tasks.dictionary.masking import clean

_PART = re.compile(r'"((?:[^"]|"")*)"|([^.]+)')


def quoted(part: str) -> str:
    """A part of a key: in quotes when it holds a dot or a quote, or nothing."""
    text = clean(part)
    return '"' + text.replace('"', '""') + '"' if "." in text or '"' in text or not text else text


def joined(*names: str) -> str:
    """The key of these names."""
    return ".".join(quoted(name) for name in names)


def parts(key: str) -> list[str]:
    """The names that a key was joined of."""
    return [found[1].replace('""', '"') if found[1] is not None else found[2] for found in _PART.finditer(key)]
