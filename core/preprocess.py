"""What may be done to a text before it becomes part of a request. Truncation is ``core.tokens.truncate``."""

import re

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


def clean_whitespace(text: str) -> str:
    """All runs of white space, line ends too, become one blank. For prose: it ruins code and tables."""
    return " ".join(text.split())


def remove_pii(text: str) -> str:
    """E-mail addresses become ``[EMAIL]``, telephone numbers ``[PHONE]``.

    Nothing else: names, postal addresses and account numbers are not found. This lessens what leaves the machine; it
    does not make a text anonymous.
    """
    return _PHONE.sub("[PHONE]", _EMAIL.sub("[EMAIL]", text))


def normalise_text(text: str) -> str:
    """Without NUL characters, which PostgreSQL and some providers refuse, and without white space around it."""
    return text.replace("\0", "").strip()
