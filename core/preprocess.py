"""What is done to a text before it becomes part of a request. Each step alone, so that a kind can switch it."""

import re

# Two patterns that are found with certainty. Names, addresses and the like are not: this is no anonymisation.
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w.+(-])"
    r"(?:(?:\+|00)\d{1,3}[ .\-/]?)?"  # country
    r"(?:\(\d{1,5}\)[ .\-/]?)?"  # area
    r"\d{2,5}(?:[ .\-/]?\d{2,5}){1,4}"
    r"(?![\w-]|\.\d)"
)
_PHONE_DIGITS = range(9, 16)  # E.164: at most 15; below 9 it is rather a date, a price or a line of a table
_DATE = re.compile(r"(?:19|20)\d\d[ .\-/]\d\d[ .\-/]\d\d(?:[ .\-/]\d\d)*|\d\d[ .\-/]\d\d[ .\-/](?:19|20)\d\d")


def normalise_text(text: str) -> str:
    """Without NUL characters, which PostgreSQL and some providers refuse, and without white space around it."""
    return text.replace("\0", "").strip()


def collapse_whitespace(text: str) -> str:
    """Every run of white space, line ends too, becomes one space."""
    return " ".join(text.split())


def remove_pii(text: str) -> str:
    """E-mail addresses become ``[EMAIL]``, phone numbers ``[PHONE]``."""
    return _PHONE.sub(_phone, _EMAIL.sub("[EMAIL]", text))


def _phone(match: re.Match[str]) -> str:
    found = match[0]
    digits = sum(character.isdigit() for character in found)
    formatted = not found.isdigit()  # bare digits are identifiers as often as they are phone numbers
    is_phone = digits in _PHONE_DIGITS and (formatted or digits == 10) and not _DATE.fullmatch(found)
    return "[PHONE]" if is_phone else found
