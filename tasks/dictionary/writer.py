"""The rule-based writer: a description from names, keys, types and statistics. It says what the facts say, no more."""

from tasks.dictionary.answer import DictionaryAnswer
from tasks.dictionary.facts import Facts, SemanticType, Statistics
from tasks.dictionary.json_path import leaf
from tasks.dictionary.keys import parts
from tasks.dictionary.phrases import by_meaning, reference, without
from tasks.dictionary.semantics import contradicts
from tasks.dictionary.words import entity, phrase, title

_LONGEST = 290
_NAME_WORDS = 6


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
    found = phrase(facts.own_name)
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
    return by_meaning(name, of, meaning)


def _entity(facts: Facts) -> str:
    holder = facts.column.rpartition(".")[0] if facts.kind.startswith("JSON") else ""
    found = entity(leaf(holder)) if holder and phrase(leaf(holder)) else entity(facts.table)
    return " ".join(word[:24] for word in found.split()[:6])


def _reference(facts: Facts, name: str, of: str) -> str:
    target = parts(facts.references[0])
    other = entity(target[-2] if len(target) > 1 else target[0])
    role = without(name, {"ID", "IDs", "key", "code", *other.split()})
    return reference(of, other, role)


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
