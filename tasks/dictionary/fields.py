"""From tables of any source to facts: keys, neighbours, masking. The only door to a prompt."""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from db.introspect import Category
from tasks.dictionary.facts import Facts, SemanticType
from tasks.dictionary.json_path import leaf
from tasks.dictionary.keys import joined, quoted
from tasks.dictionary.masking import clean, default_shape
from tasks.dictionary.semantics import detect
from tasks.dictionary.statistics import Profile

_NEIGHBOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What of the data may be told. ``allowed``: patterns of keys whose values are not masked."""

    statistics: bool = True
    samples: int = 5
    sample_rows: int = 10_000
    allowed: tuple[str, ...] = ()

    def allows(self, *keys: str) -> bool:
        return any(pattern == key or fnmatch.fnmatchcase(key, pattern) for pattern in self.allowed for key in keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceField:
    """One column or JSON path. ``default`` and ``labels`` still hold the user's literals."""

    name: str
    type: str
    category: Category
    nullable: bool = True
    primary_key: bool = False
    references: tuple[str, ...] = ()
    unique: bool = False
    unique_with: tuple[str, ...] = ()
    default: str = ""
    generated: bool = False
    comment: str = ""
    labels: int = 0
    meaning: SemanticType | None = None  # told by the source itself (a JSON schema's format)
    profile: Profile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTable:
    """A table, view, document or file with its fields. ``container``: its schema; ``qualified``: keys begin with it."""

    name: str
    kind: str
    fields: Sequence[SourceField]
    container: str = ""
    qualified: bool = False
    comment: str = ""
    key_width: int = 1
    sampled: bool = False
    dotted: bool = False  # field names are paths already (JSON)

    def facts(self, policy: Policy) -> Iterator[Facts]:
        """One Facts a field, in the table's order, keys unique."""
        names = [clean(found.name) for found in self.fields]
        seen: dict[str, int] = {}
        for position, found in enumerate(self.fields):
            key = self._key(found.name)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                key = f"{key} ({seen[key]})"
            yield self._facts(found, key, _around(names, position), policy)

    def _identifies(self, found: SourceField) -> bool:
        # A part of a wider key may be anything: a model's name, a day.
        alone = self.key_width == 1 or found.category is Category.NUMBER
        return bool(found.references) or (found.primary_key and alone)

    def _key(self, name: str) -> str:
        table = joined(self.container, self.name) if self.qualified else joined(self.name)
        return f"{table}.{clean(name) if self.dotted else quoted(name)}"

    def _facts(self, found: SourceField, key: str, siblings: tuple[str, ...], policy: Policy) -> Facts:
        literal = policy.allows(key, f"{self.name}.{found.name}", f"{self.container}.{self.name}.{found.name}")
        profile = found.profile
        meaning = found.meaning or detect(
            name=leaf(found.name) if self.dotted else found.name,
            type_name=found.type,
            category=found.category,
            is_key=self._identifies(found),
            labels=found.labels,
            profile=profile,
        )
        # The shape of a password still tells its length and alphabet.
        secret = meaning is SemanticType.SECRET and not literal
        return Facts(
            path=key,
            container=clean(self.container),
            table=clean(self.name),
            kind=self.kind,
            table_comment=clean(self.comment),
            column=clean(found.name),
            type=clean(found.type)[:120],
            category=found.category,
            nullable=found.nullable,
            primary_key=found.primary_key,
            key_width=self.key_width if found.primary_key else 1,
            references=found.references,
            unique=found.unique,
            unique_with=found.unique_with,
            default=default_shape(found.default) if not literal else clean(found.default)[:120],
            generated=found.generated,
            comment=clean(found.comment),
            detected=meaning,
            enum_values=found.labels or None,
            statistics=None if profile is None or secret else profile.statistics(sampled=self.sampled, literal=literal),
            samples=() if profile is None or secret else profile.samples(policy.samples, literal=literal),
            literal=literal,
            siblings=siblings,
            columns=len(self.fields),
        )


def _around(names: Sequence[str], position: int) -> tuple[str, ...]:
    """The other columns' names, of a wide table the nearest."""
    start = max(0, min(position - _NEIGHBOURS // 2, len(names) - _NEIGHBOURS - 1))
    window = range(start, min(len(names), start + _NEIGHBOURS + 1))
    return tuple(names[n][:80] for n in window if n != position)
