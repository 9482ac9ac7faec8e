"""What a kind is to the rest of the house: source -> jobs -> request -> accept -> fallback -> export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeAlias, runtime_checkable

from pydantic import BaseModel

from core.model import JobDraft, JsonObject, Message, ResultRow, Usage
from core.ports import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A part of the source that cannot become jobs: named in the result, the others go on."""

    where: str  # path, path:line, table ...
    what: str
    by_design: bool = False  # left out for a reason that is no fault of the source: told, but no failure


Found: TypeAlias = JobDraft | Problem


class SweepKind(Kind, Protocol):
    """A kind with both ends: the source it reads and the files it writes. Implementations live in ``tasks.<kind>``."""

    @property
    def source_model(self) -> type[BaseModel]:
        """What ``SweepSpec.source`` must look like."""
        ...

    @property
    def options_model(self) -> type[BaseModel]:
        """What ``SweepSpec.options`` must look like; every field has a default."""
        ...

    @property
    def formats(self) -> Sequence[str]:
        """Names for ``sweep export -f``, the default first (``jsonl`` is everybody's and not listed)."""
        ...

    @property
    def wants_vectors(self) -> bool:
        """Whether ``export`` needs ``ResultRow.vector``."""
        ...

    def jobs(self, source: JsonObject, options: JsonObject) -> Iterator[Found]:
        """Streams the source: never holds it whole. Keys are unique.

        Raises InputError when the source as such is unusable (missing, unreadable, nothing in it).
        """
        ...

    def answer(self, messages: Sequence[Message]) -> str | None:
        """The rule-based writer, run on this kind's own prompt as a model would be; None: not my prompt.

        Serves the simulator and the ``rules`` provider. After a repair turn the messages hold more than the prompt.
        """
        ...

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        """Writes the results (atomically) and says in one line what lies where. Raises InputError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the ledger has booked for a sweep, rejected and failed calls too. ``cost_usd`` None: unknown price."""

    tokens: Usage
    cost_usd: float | None


@runtime_checkable
class Accountable(Protocol):
    """A kind whose exports tell what the sweep has spent: more than its rows know, which hold only kept answers."""

    def accounting(self, spent: Spent) -> Self:
        """The same kind, with the ledger's sums at hand."""
        ...
