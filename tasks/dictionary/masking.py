"""Values by their shape: letters become a or A, digits 9, punctuation stays. What is told of the data passes here."""

import re
import string
import unicodedata

_KEEP = frozenset(string.punctuation + " ")
_LONGEST = 40
_NUMBER = re.compile(r"[-+]?[01](\.0+)?")
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r"\d[\w.]*")

_ASCII = str.maketrans(
    {
        **dict.fromkeys(string.ascii_lowercase, "a"),
        **dict.fromkeys(string.ascii_uppercase, "A"),
        **dict.fromkeys(string.digits, "9"),
        **{chr(code): " " for code in (*range(32), 127)},
    }
)


def shape(text: str) -> str:
    """The shape of a value, at most 40 characters of it."""
    head = text[:_LONGEST]
    masked = head.translate(_ASCII) if head.isascii() else "".join(map(_shape_of, head))
    return masked + ("…" if len(text) > _LONGEST else "")


def clean(text: str) -> str:
    """Text as every JSON store takes it: no NUL, no lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def default_shape(expression: str) -> str:
    """A column default without its literals: ``now()`` stays, ``'gold'`` becomes ``'aaaa'``."""
    if _NUMBER.fullmatch(expression):
        return expression
    without_text = _QUOTED.sub(lambda quoted: f"'{shape(quoted[0][1:-1])}'", expression)
    return clean(_WORD.sub(lambda number: shape(number[0]), without_text))[:120]


def _shape_of(char: str) -> str:
    if char in _KEEP:
        return char
    if char.isupper():
        return "A"
    if char.isnumeric():
        return "9"
    if char.isalpha() or unicodedata.category(char).startswith("M"):
        return "a"
    return " " if char.isspace() or not char.isprintable() else "*"
