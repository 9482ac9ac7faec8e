"""The rule-based writer: a description from names, keys, types and statistics. It says what the facts say, no more."""

import re

from tasks.dictionary.answer import DictionaryAnswer
from tasks.dictionary.facts import Facts, SemanticType, Statistics
from tasks.dictionary.json_path import leaf
from tasks.dictionary.keys import parts
from tasks.dictionary.semantics import contradicts
from tasks.dictionary.words import article, entity, phrase, title

_LONGEST = 290
_NAME_WORDS = 6
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
_TIME_WORDS = {"date", "time", "timestamp", "at", "on", "and", "day", "datetime", "when"}
_FLAG = {"is", "has", "can", "was", "should", "allow", "use", "are", "flag", "fl"}


def write(facts: Facts) -> DictionaryAnswer:
    """A description that passes this kind's own acceptance, for any field."""
    name = _name(facts)
    meaning = SemanticType.UNKNOWN if contradicts(facts.category, facts.detected) else facts.detected
    opening = _opening(facts, name, meaning)
    text = f"{opening[:1].upper()}{opening[1:]}."
    for clause in (_keys(facts), _filling(facts.statistics, facts)):
        if clause and len(text) + len(clause) < _LONGEST:
            text = f"{text} {clause}"
    return DictionaryAnswer(
        description=text,
        business_name=title(" ".join(name.split()[:_NAME_WORDS]))[:60].strip() or "Unnamed Field",
        semantic_type=meaning,
        confidence=_confidence(facts, meaning),
    )


def _name(facts: Facts) -> str:
    found = phrase(leaf(facts.column) if facts.kind.startswith("JSON") else facts.column)
    return " ".join(word[:24] for word in found.split()[:8]) or "unnamed field"


def _opening(facts: Facts, name: str, meaning: SemanticType) -> str:
    of = _entity(facts)
    if facts.primary_key and not facts.references:
        return (
            f"identifier that makes each {of} unique"
            if facts.key_width == 1
            else f"{name} that is part of what identifies each {of}"
        )
    if facts.references:
        return _reference(facts, name, of)
    return _by_meaning(name, of, meaning)


def _by_meaning(name: str, of: str, meaning: SemanticType) -> str:
    if meaning is SemanticType.BOOLEAN:
        return _flag(name, of)
    if meaning in _MOMENTS:
        return _moment(name, of, meaning)
    if meaning is SemanticType.COUNT:
        return f"number of {_without(name, {'number', 'count', 'of', 'total'}) or 'items'} counted for the {of}"
    if meaning in {SemanticType.IDENTIFIER, SemanticType.UUID, SemanticType.CODE}:
        return f"{_noun(name, meaning)} by which the {of} is identified or looked up"
    how = _AS.get(meaning, "")
    # "Status of the status" would say nothing, and "A of the b" is no sentence.
    terse = set(of.split()) <= set(name.split()) or len(name) + len(of) < 6
    joint = "kept for each" if terse else "of the"
    return f"{_noun(name, meaning)} {joint} {of}{', ' + how if how else ''}"


def _entity(facts: Facts) -> str:
    holder = facts.column.rpartition(".")[0] if facts.kind.startswith("JSON") else ""
    found = entity(leaf(holder)) if holder and phrase(leaf(holder)) else entity(facts.table)
    return " ".join(word[:24] for word in found.split()[:6])


def _reference(facts: Facts, name: str, of: str) -> str:
    target = parts(facts.references[0])
    other = entity(target[-2] if len(target) > 1 else target[0])
    role = _without(name, {"ID", "IDs", "key", "code", *other.split()})
    suffix = f" as its {role}" if role else ""
    if other == of:
        return f"reference from the {of} to another {other}{suffix}"
    return f"reference to the {other} that the {of} belongs to or uses{suffix}"


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
    done = next((word for word in rest if _PARTICIPLE.fullmatch(word)), "")
    if done and rest == [done]:
        return f"{what} at which the {of} was {done}"
    if done and rest[-1] == done:
        return f"{what} at which the {' '.join(rest[:-1])} of the {of} was {done}"
    return f"{what} of the {' '.join(rest)} of the {of}" if rest else f"{what} that belongs to the {of}"


def _noun(name: str, meaning: SemanticType) -> str:
    noun = _NOUNS.get(meaning, "")
    first, _, rest = noun.partition(" ")
    if not noun or noun.split()[-1].lower() in name.lower().split():
        return name
    if name.lower().endswith(first.lower()):  # "billing e-mail" becomes "billing e-mail address"
        return f"{name} {rest}".strip()
    return f"{name} ({noun})"


def _without(name: str, dropped: set[str]) -> str:
    return " ".join(word for word in name.split() if word not in dropped)


def _keys(facts: Facts) -> str:
    if facts.references:
        target = parts(facts.references[0])
        table = ".".join(target[:-1] or target)
        return f"Foreign key to {table}." if table.isprintable() and len(table) <= 60 else "Foreign key."
    if facts.primary_key:
        return "Primary key." if facts.key_width == 1 else f"One of {facts.key_width} columns of the primary key."
    if facts.enum_values:
        return f"Takes one of {facts.enum_values} declared values."
    return "No two rows share a value." if facts.unique else ""


def _filling(found: Statistics | None, facts: Facts) -> str:
    if found is None or not found.rows or facts.primary_key:
        return ""
    where = "of the rows looked at" if found.sampled else "of the rows"
    if found.nulls == found.rows:
        return "Empty in every row so far."
    if found.nulls:
        share = 100 * found.nulls / found.rows
        return f"Empty in {share:.0f} % {where}." if share >= 1 else "Almost always filled."
    if found.distinct == 1 and found.rows > 1:
        return "Holds the same value in every row so far."
    if facts.detected is SemanticType.ENUM and not facts.enum_values and found.distinct:
        return f"{found.distinct} different values occur."
    return ""


def _confidence(facts: Facts, meaning: SemanticType) -> float:
    if facts.primary_key or facts.references:
        return 0.9
    if meaning in {SemanticType.UNKNOWN, SemanticType.TEXT, SemanticType.QUANTITY}:
        return 0.4
    return 0.7 if facts.statistics and facts.statistics.distinct else 0.6
