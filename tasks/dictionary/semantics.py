"""What a field means, by rule: from its values where they speak, else from its type, its name and its statistics."""

import re
from collections.abc import Callable, Sequence

from db.introspect import Category
from tasks.dictionary.facts import SemanticType as S
from tasks.dictionary.names import by_name
from tasks.dictionary.statistics import Profile
from tasks.dictionary.words import singular, split

_STRAY = 0.1  # share of the values that may disagree
_FEW = 24  # distinct values of an enumeration, at most

_PATTERNS: tuple[tuple[S, re.Pattern[str]], ...] = (
    (S.EMAIL, re.compile(r"[^@\s]{1,64}@[\w-]+(\.[\w-]+)+")),
    (S.UUID, re.compile(r"\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")),
    (S.URL, re.compile(r"(https?|ftp|s3|gs|wss?|postgres(ql)?|redis|amqp)://\S+|www\.\S+\.\S+")),
    (S.MAC_ADDRESS, re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")),
    (S.IP_ADDRESS, re.compile(r"(\d{1,3}\.){3}\d{1,3}(/\d{1,2})?|(?=.*::|(.*:){7})[0-9a-fA-F:]{3,45}(/\d{1,3})?")),
    (S.TIMESTAMP, re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|[+-]\d\d:?(\d\d)?))?")),
    (S.DATE, re.compile(r"\d{4}-\d\d-\d\d|\d{4}/\d\d/\d\d|\d\d?[./]\d\d?[./]\d{4}")),
    (S.TIME, re.compile(r"\d\d?:\d\d(:\d\d(\.\d+)?)?")),
    (
        S.HASH,
        re.compile(
            r"(?=.*[a-fA-F])(?=.*\d)([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})"
        ),
    ),
    (S.COLOR, re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")),
    (S.MIME_TYPE, re.compile(r"(application|audio|font|image|message|model|multipart|text|video)/[\w.+-]+(; ?\S+)?")),
    (S.VERSION, re.compile(r"v?\d+\.\d+(\.\d+)+([-+.][0-9A-Za-z.-]+)?")),
    (S.PERCENTAGE, re.compile(r"-?\d+([.,]\d+)? ?%")),
    (S.CURRENCY_AMOUNT, re.compile(r"[-+]?[$€£¥] ?\d[\d.,]*|\d[\d.,]* ?[$€£¥]")),
    (S.GEO, re.compile(r"-?\d{1,2}\.\d{3,}, ?-?\d{1,3}\.\d{3,}|(POINT|POLYGON|LINESTRING) ?\(.*")),
    (S.JSON, re.compile(r"[{\[].*([}\]]|…)", re.DOTALL)),
    (S.FILE_PATH, re.compile(r"(/[\w.@+ -]+){2,}/?|[A-Za-z]:\\\S.*|(\.{0,2}/)?([\w.@+-]+/)+[\w@+-]+\.\w{1,5}")),
    (S.PHONE, re.compile(r"\+\d[\d ().-]{6,18}\d|\(\d{2,4}\) ?\d[\d .-]{5,12}\d|\d{3}[ .-]\d{3}[ .-]\d{4}")),
)

_TEXTUAL = frozenset({Category.TEXT, Category.OTHER})
_EITHER = _TEXTUAL | {Category.NUMBER}

_FLAG_WORDS = {"is", "has", "can", "was", "should", "flag", "enabled", "disabled", "active", "deleted", "allow", "use"}
_FLAG_VALUES = ({"0", "1"}, {"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_BY_CATEGORY = {
    Category.BOOLEAN: S.BOOLEAN,
    Category.JSON: S.JSON,
    Category.ARRAY: S.LIST,
    Category.BINARY: S.BINARY,
}
_IMPOSSIBLE = {
    Category.BOOLEAN: frozenset(S) - {S.BOOLEAN, S.ENUM, S.UNKNOWN},
    Category.TEMPORAL: frozenset(S) - {S.DATE, S.TIME, S.TIMESTAMP, S.DURATION, S.YEAR, S.IDENTIFIER, S.UNKNOWN},
    Category.NUMBER: frozenset(
        {S.EMAIL, S.URL, S.UUID, S.IP_ADDRESS, S.MAC_ADDRESS, S.JSON, S.LIST, S.MIME_TYPE, S.FILE_PATH, S.COLOR, S.TEXT}
        | {S.PERSON_NAME, S.USERNAME, S.ADDRESS, S.EMBEDDING, S.BINARY, S.TIMEZONE, S.LANGUAGE}
    ),
}
"""What a type rules out. The rest is judgement."""


def contradicts(category: Category, meaning: S) -> bool:
    """Whether a column of this category cannot mean that."""
    return meaning in _IMPOSSIBLE.get(category, frozenset())


def detect(*, name: str, type_name: str, category: Category, is_key: bool, labels: int, profile: Profile | None) -> S:
    """The meaning of a field by rule."""
    steps: Sequence[Callable[[], S | None]] = (
        lambda: _certain_type(type_name, category, labels),
        lambda: S.SECRET if by_name(name, category) is S.SECRET else None,
        lambda: _by_values(profile) if category in _TEXTUAL and profile else None,
        lambda: S.IDENTIFIER if is_key else None,
        lambda: _temporal(type_name) if category is Category.TEMPORAL else None,
        lambda: _flag(name, profile) if category in _EITHER else None,
        lambda: by_name(name, category),
        lambda: _BY_CATEGORY.get(category),
        lambda: _by_numbers(name, type_name, category, profile),
    )
    return next((found for step in steps if (found := step()) is not None), S.UNKNOWN)


def _certain_type(type_name: str, category: Category, labels: int) -> S | None:
    lower = type_name.lower().rpartition(".")[2]  # an extension's type comes with its schema
    if labels:
        return S.ENUM
    for start, meaning in _TYPES:
        if lower.startswith(start):
            return meaning
    return S.BOOLEAN if category is Category.BOOLEAN else None


_TYPES = (
    ("uuid", S.UUID),
    ("inet", S.IP_ADDRESS),
    ("cidr", S.IP_ADDRESS),
    ("macaddr", S.MAC_ADDRESS),
    ("money", S.CURRENCY_AMOUNT),
    ("vector", S.EMBEDDING),
    ("halfvec", S.EMBEDDING),
    ("geometry", S.GEO),
    ("geography", S.GEO),
    ("point", S.GEO),
    ("year", S.YEAR),
    ("json", S.JSON),
)


def _temporal(type_name: str) -> S:
    lower = type_name.lower()
    if "interval" in lower:
        return S.DURATION
    if "timestamp" in lower or "datetime" in lower:
        return S.TIMESTAMP
    return S.TIME if lower.startswith("time") else S.DATE


def _by_values(profile: Profile) -> S | None:
    texts = [text.strip() for text in profile.texts() if text.strip()]
    if not texts:
        return None
    return next((meaning for meaning, pattern in _PATTERNS if _agree(pattern, texts)), None)


def _agree(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether nearly all of them match; most patterns are ruled out by the first few."""
    spare = int(_STRAY * len(texts))
    for text in texts:
        if pattern.fullmatch(text) is None:
            if not spare:
                return False
            spare -= 1
    return True


def _flag(name: str, profile: Profile | None) -> S | None:
    parts = split(name)
    flagged = bool(parts) and (parts[0] in _FLAG_WORDS or parts[-1] in _FLAG_WORDS)
    seen = {text.lower() for text in profile.texts()} if profile and profile.distinct <= 2 else None
    fits = bool(seen) and any(seen <= values for values in _FLAG_VALUES if seen)
    if flagged and (fits or (profile is None or not profile.filled)):
        return S.BOOLEAN
    return S.BOOLEAN if seen in ({"true", "false"}, {"yes", "no"}) else None


def _by_numbers(name: str, type_name: str, category: Category, profile: Profile | None) -> S | None:
    if category is Category.NUMBER:
        last = split(name)[-1:]
        plural = any(singular(word) != word for word in last)
        return S.COUNT if plural and "int" in type_name.lower() else S.QUANTITY
    if profile is None or category not in _TEXTUAL or not profile.filled:
        return None
    if 1 < profile.distinct <= _FEW and profile.filled >= 5 * profile.distinct:
        return S.ENUM
    return S.TEXT if profile.longest > 80 else None
