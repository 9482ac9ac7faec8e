"""Whether an answer may become documentation: by code, not by trust."""

import re
from collections.abc import Callable, Iterator

from core.model import Answer, Rejected
from tasks.answers import parse
from tasks.dictionary.answer import DictionaryAnswer
from tasks.dictionary.facts import Facts, SemanticType
from tasks.dictionary.semantics import contradicts
from tasks.dictionary.vocabulary import FILLER, SMALL
from tasks.dictionary.words import split, words

_SHORTEST, _LONGEST, _NAME = 15, 300, 60
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
# Words that no English sentence has, of the languages that a model drifts into.
_FOREIGN_WORDS = """
der das und ist eine einer des dem den von für le les une est dans pour avec sur el los las una del por para que gli
della che os uma em het een van voor
"""
_FOREIGN = frozenset(_FOREIGN_WORDS.split())
_ENGLISH = FILLER | {
    "when",
    "whether",
    "each",
    "unique",
    "used",
    "where",
    "was",
    "one",
    "last",
    "number",
    "date",
    "name",
}
_ASIDE = re.compile(r"\b(as an ai|i cannot|i can't|i'm sorry|i am sorry|lorem ipsum|todo|tbd)\b", re.IGNORECASE)
_SHAPE = re.compile(r"\b(?=\w*(?:a{3}|A{3}|9{3}))[aA9]{3,}\b")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+|https?://[\w.-]+")
_PRIVATE = {
    SemanticType.EMAIL, SemanticType.PHONE, SemanticType.PERSON_NAME, SemanticType.ADDRESS, SemanticType.IP_ADDRESS,
    SemanticType.SECRET, SemanticType.HASH, SemanticType.UUID, SemanticType.USERNAME,
}  # fmt: skip


def judge(facts: Facts, answer: Answer) -> DictionaryAnswer | Rejected:
    """The answer as a value, or the reason that the model is shown."""
    if answer.finish_reason == "length":
        return Rejected(reason="the answer was cut off: keep the description under 300 characters")
    fenced = _FENCE.fullmatch(answer.text)
    found = parse(DictionaryAnswer, fenced[1] if fenced else answer.text)
    if isinstance(found, Rejected):
        return found
    reasons = [reason for check in _CHECKS if (reason := check(facts, found))]
    return Rejected(reason="; ".join(reasons)) if reasons else found


def _length(_facts: Facts, found: DictionaryAnswer) -> str:
    size = len(found.description.strip())
    if not _SHORTEST <= size <= _LONGEST:
        return f"description: has {size} characters, {_SHORTEST} to {_LONGEST} are wanted"
    return ""


def _sentence(_facts: Facts, found: DictionaryAnswer) -> str:
    text = found.description.strip()
    if "\n" in text or text.startswith(("#", "- ", "* ", "`", "{", "|")):
        return "description: plain sentences on one line, no markup"
    if text[-1:] not in {".", "!", "?", "。"}:
        return "description: end the sentence with a full stop"
    return "description: begin with a capital letter" if _is_small(text) else ""


def _is_small(word: str) -> bool:
    # Some letters are lower case and have no capital.
    return word[:1] != word[:1].upper()


def _substance(facts: Facts, found: DictionaryAnswer) -> str:
    name = set(split(facts.own_name)) | set(words(facts.own_name))
    said = {word.lower() for word in _WORD.findall(found.description)}
    if not {word for word in said - FILLER if word not in name and word.removesuffix("s") not in name}:
        return "description: says no more than the field's name"
    aside = _ASIDE.search(found.description)
    return f"description: {aside[0]!r} is no description" if aside else ""


def _business_name(_facts: Facts, found: DictionaryAnswer) -> str:
    name = found.business_name
    parts = name.split()
    if not parts or len(parts) > 6 or len(name) > _NAME or name != " ".join(parts):
        return "business_name: one to six words, at most 60 characters"
    if "_" in name or any(_is_small(part) for n, part in enumerate(parts) if part not in SMALL or n == 0):
        return "business_name: Title Case words without underscores"
    return ""


def _meaning(facts: Facts, found: DictionaryAnswer) -> str:
    if contradicts(facts.category, found.semantic_type):
        return f"semantic_type: a {facts.category.value} column ({facts.type}) cannot be {found.semantic_type.value}"
    return ""


def _echo(facts: Facts, found: DictionaryAnswer) -> str:
    text = f"{found.description} {found.business_name}"
    named = " ".join((facts.path, facts.table, facts.comment, facts.table_comment, *facts.references)).lower()
    shown = " ".join(_told(facts))
    echoed = (shape[0] for shape in _SHAPE.finditer(text))
    invented = (address[0].lower() for address in _ADDRESS.finditer(text))
    if any(shape in shown and shape.lower() not in named for shape in echoed) or any(a not in named for a in invented):
        return "description: no sample values, shapes or addresses"
    if facts.literal and facts.detected in _PRIVATE and any(len(s) > 3 and s in text for s in facts.samples):
        return "description: repeats a value of the data"
    return ""


def _told(facts: Facts) -> Iterator[str]:
    """All that the prompt shows of the data."""
    yield from facts.samples
    if facts.statistics:
        yield from (facts.statistics.minimum or "", facts.statistics.maximum or "")
        yield from (top.value for top in facts.statistics.top)


def _language(facts: Facts, found: DictionaryAnswer) -> str:
    names = {part for text in (facts.column, facts.table, *facts.references) for part in (*split(text), *words(text))}
    said = [word for word in map(str.lower, _WORD.findall(found.description)) if word not in names]
    foreign = sum(word in _FOREIGN for word in said)
    letters = [char for word in said for char in word if char.isalpha()]
    if foreign > sum(word in _ENGLISH for word in said) or sum(map(str.isascii, letters)) < 0.8 * len(letters):
        return "description: write it in English"
    return ""


_CHECKS: tuple[Callable[[Facts, DictionaryAnswer], str], ...] = (
    _length,
    _sentence,
    _substance,
    _business_name,
    _meaning,
    _echo,
    _language,
)
