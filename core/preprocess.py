"""What is done to a text before it becomes part of a request. Pure; each step can be left out."""

import re
from dataclasses import dataclass

from core import tokens

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}(?![\w-])")
# The ways in which people write telephone numbers. Other runs of digits are left alone: amounts, dates, addresses.
_PHONE = re.compile(
    r"""
    (?<![\w.+-])(?:
        (?:\+|00)[1-9](?:[ .()/-]{0,2}\d){6,14}                       # international: +49 (0)30 1234567
      | (?:1[ .-]?)?(?:\(\d{3}\)[ ]?|\d{3}[.-]?|\d{3}[ ])\d{3}[ .-]?\d{4}  # North American: (555) 123-4567
      | \(?0[1-9]\d{0,4}\)?[ ./-]?\d{2,5}(?:[ ./-]?\d{2,5}){1,3}       # national: 030/1234567, 01 23 45 67 89
    )(?:[ ]?(?:x|ext\.?)[ ]?\d{1,5})?(?![\w-]|[.,]\d)
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Which steps are taken, in this order. The default takes none."""

    clean_whitespace: bool = False
    remove_pii: bool = False
    max_tokens: int | None = None

    def apply(self, text: str, model: str = "") -> str:
        """The text after the chosen steps. Truncation comes last, so that nothing grows after it."""
        if self.clean_whitespace:
            text = clean_whitespace(text)
        if self.remove_pii:
            text = remove_pii(text)
        if self.max_tokens is not None:
            text = truncate(text, self.max_tokens, model)
        return text


def clean_whitespace(text: str) -> str:
    """All runs of white space, line ends too, become one blank. For prose: it ruins code and tables."""
    return " ".join(text.split())


def truncate(text: str, max_tokens: int, model: str = "") -> str:
    """At most ``max_tokens`` tokens of the text's start, as the model counts them, cut between characters."""
    return tokens.truncate(text, max_tokens, model)


def remove_pii(text: str) -> str:
    """E-mail addresses become ``[EMAIL]``, telephone numbers ``[PHONE]``.

    Nothing else: names, postal addresses and account numbers are not found. This lessens what leaves the machine; it
    does not make a text anonymous.
    """
    return _PHONE.sub("[PHONE]", _EMAIL.sub("[EMAIL]", text))


def normalise_text(text: str) -> str:
    """Without NUL characters, which PostgreSQL and some providers refuse, and without white space around it."""
    return text.replace("\0", "").strip()
