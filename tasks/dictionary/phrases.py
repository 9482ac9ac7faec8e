"""The first sentence about a field, by its meaning."""

import re

from tasks.dictionary.facts import SemanticType
from tasks.dictionary.vocabulary import FILLER
from tasks.dictionary.words import article

_NOUNS = {
    SemanticType.EMAIL: "e-mail address",
    SemanticType.PHONE: "phone number",
    SemanticType.URL: "web address",
    SemanticType.UUID: "UUID",
    SemanticType.IP_ADDRESS: "IP address",
    SemanticType.MAC_ADDRESS: "MAC address",
    SemanticType.POSTAL_CODE: "postal code",
    SemanticType.COUNTRY: "country",
    SemanticType.LATITUDE: "latitude",
    SemanticType.LONGITUDE: "longitude",
    SemanticType.CURRENCY_CODE: "currency",
    SemanticType.TIMEZONE: "time zone",
    SemanticType.MIME_TYPE: "media type",
}
_AS = {
    SemanticType.CURRENCY_AMOUNT: "as an amount of money",
    SemanticType.PERCENTAGE: "as a rate or percentage",
    SemanticType.JSON: "as a structured JSON value",
    SemanticType.LIST: "as a list of values",
    SemanticType.HASH: "as a hash that identifies content",
    SemanticType.SECRET: "kept confidential",
    SemanticType.BINARY: "as binary data",
    SemanticType.EMBEDDING: "as an embedding vector",
    SemanticType.FILE_PATH: "as a file path",
    SemanticType.DURATION: "as a span of time",
    SemanticType.ENUM: "as one of a fixed set of values",
    SemanticType.LATITUDE: "in decimal degrees",
    SemanticType.LONGITUDE: "in decimal degrees",
}
_MOMENTS = {
    SemanticType.TIMESTAMP: "date and time",
    SemanticType.DATE: "date",
    SemanticType.TIME: "time of day",
}
_PARTICIPLE = re.compile(
    r"(?:[a-z]{2,}ed|sent|done|begun|built|made|paid|read|run|seen|sold|taken|written|born|lost|given|left)"
)
_STATES = {
    "active",
    "visible",
    "public",
    "private",
    "available",
    "valid",
    "open",
    "closed",
    "online",
    "primary",
    "default",
}
_LIMITS = {"until", "from", "since", "before", "after"}
_UNITS = {
    "milliseconds": "milliseconds",
    "seconds": "seconds",
    "minutes": "minutes",
    "hours": "hours",
    "days": "days",
    "bytes": "bytes",
    "USD": "US dollars",
    "EUR": "euros",
    "GBP": "pounds sterling",
}
_TIME_WORDS = {"date", "time", "timestamp", "at", "on", "and", "day", "datetime", "when"}
_FLAG = {"is", "has", "can", "was", "should", "allow", "use", "are", "flag", "fl"}


def by_meaning(name: str, of: str, meaning: SemanticType) -> str:
    """What the field ``name`` of the entity ``of`` holds, without the final stop."""
    if meaning is SemanticType.BOOLEAN:
        return _flag(name, of)
    if meaning in _MOMENTS:
        return _moment(name, of, meaning)
    if meaning in {SemanticType.COUNT, SemanticType.QUANTITY} and (counted := _count(name, of, meaning)):
        return counted
    if meaning in {SemanticType.IDENTIFIER, SemanticType.UUID, SemanticType.CODE}:
        return _identifier(name, of, meaning)
    return _thing(name, of, meaning)


def reference(of: str, other: str, role: str) -> str:
    """What a foreign key of ``of`` says about the ``other``, in the ``role`` that its name gives it."""
    *done, last = role.split() or [""]
    which = f"another {other}" if other == of else f"the {other}"
    if last == "by" and done and _PARTICIPLE.fullmatch(done[-1]):
        return f"reference to {which} by which the {of} was {done[-1]}"
    if last in {"to", "from", "of", "by", "in", "for"} and done:
        return f"reference to {which} that the {of} {role}"
    suffix = f" as its {role}" if role else ""
    if other == of:
        return f"reference from the {of} to another {other}{suffix}"
    return f"reference to the {other} that the {of} belongs to or uses{suffix}"


def _thing(name: str, of: str, meaning: SemanticType) -> str:
    bare, unit = _unit(name)
    if meaning is SemanticType.JSON:
        bare = without(bare, {"JSON"}) or name
    noun = _noun(bare, meaning)
    # "Status of the status" would say nothing, and "A of the b" is no sentence.
    terse = set(of.split()) <= {*noun.split(), *FILLER} or len(noun) + len(of) < 6
    how = unit or _AS.get(meaning, "")
    return f"{noun} {'kept for each' if terse else 'of the'} {of}{', ' + how if how else ''}"


def _unit(name: str) -> tuple[str, str]:
    """``latency milliseconds`` is the latency, in milliseconds."""
    head, _, last = name.rpartition(" ")
    return (head, f"in {_UNITS[last]}") if head and last in _UNITS else (name, "")


def _count(name: str, of: str, meaning: SemanticType) -> str:
    rest = [word for word in name.split() if word not in {"number", "count", "of", "total", "n"}]
    if rest and _PARTICIPLE.fullmatch(rest[-1]):
        return f"number of {' '.join(rest[:-1]) or 'items'} {rest[-1]} in the {of}"
    return f"number of {' '.join(rest) or 'items'} counted for the {of}" if meaning is SemanticType.COUNT else ""


def _identifier(name: str, of: str, meaning: SemanticType) -> str:
    other = without(name, {"ID", "UUID", "key"})
    if other and other not in {name, of}:
        return f"identifier of the {other} that the {of} is about or belongs to"
    return f"{_noun(name, meaning)} by which the {of} is identified or looked up"


def _flag(name: str, of: str) -> str:
    words = name.split()
    first, rest = words[0], [word for word in words if word not in _FLAG]
    if not rest:
        return f"whether {name} applies to the {of}"
    if first == "has":
        return f"whether the {of} has {_some(' '.join(rest))}"
    if first in {"can", "should", "was"}:
        return f"whether the {of} {first} {' '.join(rest)}"
    state = rest[-1]
    if first != "is" and not _PARTICIPLE.fullmatch(state) and state not in _STATES:
        return f"whether {' '.join(rest)} applies to the {of}"
    return f"whether the {' '.join(rest[:-1])} of the {of} is {state}" if rest[:-1] else f"whether the {of} is {state}"


def _some(noun: str) -> str:
    return noun if noun.endswith(("s", "children")) else article(noun)


def _moment(name: str, of: str, meaning: SemanticType) -> str:
    what = _MOMENTS[meaning]
    rest = [word for word in name.split() if word not in _TIME_WORDS]
    if rest and rest[-1] in _LIMITS:
        return f"{what} {rest[-1]} which {_holds(rest[:-1], of)}"
    done = next((word for word in rest if _PARTICIPLE.fullmatch(word)), "")
    if done and rest == [done]:
        return f"{what} at which the {of} was {done}"
    if done and rest[-1] == done:
        return f"{what} at which the {' '.join(rest[:-1])} of the {of} was {done}"
    return f"{what} of the {' '.join(rest)} of the {of}" if rest else f"{what} that belongs to the {of}"


def _holds(rest: list[str], of: str) -> str:
    if not rest:
        return f"the {of} applies"
    return f"the {of} is {rest[0]}" if rest[0] in _STATES else f"the {' '.join(rest)} of the {of} applies"


def _noun(name: str, meaning: SemanticType) -> str:
    noun = _NOUNS.get(meaning, "")
    first, _, rest = noun.partition(" ")
    if not noun or noun.split()[-1].lower() in name.lower().split():
        return name
    if name.lower().endswith(first.lower()):  # "billing e-mail" becomes "billing e-mail address"
        return f"{name} {rest}".strip()
    return f"{name} ({noun})"


def without(name: str, dropped: set[str]) -> str:
    """The name without some of its words."""
    return " ".join(word for word in name.split() if word not in dropped)
