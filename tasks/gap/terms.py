"""Words as they are compared: identifiers split, endings cut, words without meaning left out."""

import functools
import re
from collections.abc import Iterator

_WORD = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_STOP_WORDS = """
a about above after all also an and any are as at be been before being below between both but by can cannot could did
do does doing each else etc every for from given had has have having how if in into is it its itself may might more
most must need no nor not of on once one only or other our out over own per shall should so some such than that the
their them then there these they this those through to too under until up upon use used user users using very via was
we were what when where which while who will with within without would you your system none self cls true false return
returns str int float bool dict list tuple object any optional def class args kwargs
"""
STOP = frozenset(_STOP_WORDS.split())
_ENDINGS = (
    "izations", "ization", "ations", "ation", "ators", "ator", "itions", "ition", "ating", "ated", "ates", "ate",
    "ments", "ment", "ings", "ing", "ers", "ors", "er", "or", "ed", "ions", "ion", "es", "s", "e",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*")
_QUOTED = re.compile(r"`+([^`]+)`+")
_CODE_LIKE = re.compile(r"\w_\w|\w\.\w|[a-z\d][A-Z]|[A-Z]{2}[a-z]")


def terms(text: str) -> Iterator[str]:
    """The stems of a text's words, in order, repeated ones too. ``fetchURLs`` gives ``fetch`` and ``url``."""
    for word in _WORD.findall(text):
        lower = word.lower()
        if lower not in STOP and (len(lower) > 1 or lower.isdigit()):
            yield stem(lower)


@functools.lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What forms of a word share: cache, cached, caches and caching give one stem. Rough, and the same everywhere."""
    if not word.isascii() or word.isdigit():
        return word
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return f"{word[:-3]}y"
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    if ending == "s" and word.endswith("ss"):
        ending = ""
    root = word.removesuffix(ending) if ending else word
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "sl" and ending
    return root[:-1] if doubled else root


def named(text: str) -> frozenset[str]:
    """The names of code that a prose text holds: what stands in back-ticks, and what no prose word looks like."""
    quoted = {name for code in _QUOTED.findall(text) for name in _NAME.findall(code)}
    bare = {name for name in _NAME.findall(_QUOTED.sub(" ", text)) if _CODE_LIKE.search(name)}
    found = quoted | bare
    return frozenset(found | {name.rpartition(".")[2] for name in found})
