"""From identifiers to words: ``fk_custAddrId`` is "customer address ID"."""

import functools
import re

from tasks.dictionary.vocabulary import ABBREVIATIONS, ACRONYMS, COMMON, SMALL, WHOLE

_SPLIT = re.compile(
    r"(?i:sha\d+|md5|ipv[46]|utf8|base64)(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+",
    re.UNICODE,
)
_CAMEL_PLURAL = re.compile(r"(?<![A-Z])([A-Z]{2,})s(?![a-z])")
_UNCOUNTED = {"metadata", "data", "information", "history", "content", "feedback", "stock"}
_PREFIXES = {"tbl", "tb", "dim", "fact", "fct", "stg", "vw", "mv", "fk", "pk", "idx", "src", "col", "fld"}


@functools.lru_cache(maxsize=4096)
def split(identifier: str) -> tuple[str, ...]:
    """The parts of an identifier in lower case: ``HTTPServerID2`` -> http, server, id, 2."""
    text = _CAMEL_PLURAL.sub(lambda plural: plural[1].capitalize() + "s", identifier)
    parts: list[str] = []
    for token in _SPLIT.findall(text):
        lower = token.lower()
        parts.extend(_compound(lower) or [lower])
    return tuple(parts)


@functools.lru_cache(maxsize=4096)
def words(identifier: str) -> tuple[str, ...]:
    """Readable lower-case words, abbreviations spelled out, technical prefixes dropped."""
    parts = list(split(identifier))
    while len(parts) > 1 and parts[0] in _PREFIXES and not parts[1].isdigit():
        parts.pop(0)
    return tuple(" ".join(map(_spelled, parts)).split())


def phrase(identifier: str) -> str:
    """The words as one phrase; empty when the identifier holds no letter or digit."""
    return " ".join(words(identifier))


def entity(table: str) -> str:
    """What one row of the table is, in the singular: ``dim_invoice_items`` -> invoice item."""
    found = list(words(table))
    if not found:
        return "entry"
    found[-1] = singular(found[-1])
    return " ".join([*found, "record"] if found[-1] in _UNCOUNTED else found)


def title(text: str) -> str:
    """A business name: title case, acronyms as they are written, small words small."""
    parts = text.split()
    inner = range(1, len(parts) - 1)
    return " ".join(
        word.lower() if n in inner and word.lower() in SMALL else _titled(word) for n, word in enumerate(parts)
    )


def singular(word: str) -> str:
    """A noun in the singular, by rule; words that only look plural stay."""
    lower = word.lower()
    if len(word) < 4 or not lower.endswith("s") or lower.endswith(("ss", "us", "is", "ics", "news", "series")):
        return word
    if lower.endswith("ies"):
        return word[:-3] + "y"
    if lower.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def article(noun: str) -> str:
    """The noun with a or an."""
    first = noun[:1].lower()
    vowel = first in "aeio" or (
        first == "u" and not noun.lower().startswith(("user", "uni", "use", "utc", "uuid", "url"))
    )
    return f"{'an' if vowel else 'a'} {noun}"


def _spelled(part: str) -> str:
    known = WHOLE.get(part) or ABBREVIATIONS.get(part) or ACRONYMS.get(part)
    if known is None and part.endswith("s"):
        one = ACRONYMS.get(part[:-1]) or ABBREVIATIONS.get(part[:-1])
        return f"{one}s" if one else part
    return known or part


def _titled(word: str) -> str:
    if any(char.isupper() for char in word):
        return word
    return "-".join(part[:1].upper() + part[1:] for part in word.split("-"))


@functools.lru_cache(maxsize=4096)
def _compound(token: str) -> list[str] | None:
    """``firstname`` -> first, name: only when known words cover it whole."""
    if len(token) < 6 or token in COMMON or token in WHOLE or token in ABBREVIATIONS or not token.isascii():
        return None
    best: dict[int, list[str]] = {0: []}
    for end in range(3, len(token) + 1):
        for start in range(end - 3, -1, -1):
            if start not in best or token[start:end] not in COMMON:
                continue
            if end not in best or len(best[start]) + 1 < len(best[end]):
                best[end] = [*best[start], token[start:end]]
    return best.get(len(token))
