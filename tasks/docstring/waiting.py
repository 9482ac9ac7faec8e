"""Drafts wait until every file has been read: only then is it known what their callees are, and which come first."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from core.errors import InputError
from core.model import JobDraft, JsonObject
from tasks.docstring.calls import Reference
from tasks.docstring.library import Library, Module, Scope, Symbol
from tasks.docstring.reading import Draft
from tasks.docstring.waves import waves

_CALLEES = 8  # docstrings of callees that a prompt shows
_WAVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What is kept in memory of a draft."""

    key: str
    qualname: str  # empty: the module itself
    at: int  # where its input begins
    module: Module
    scope: Scope
    references: tuple[Reference, ...]


class Waiting:
    """Drafts in ``inputs``, a file of their own, while ``library`` is filled."""

    def __init__(self, inputs: IO[bytes]) -> None:
        self.library = Library()
        self._entries: list[_Entry] = []
        self._inputs = inputs

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, draft: Draft, module: Module) -> None:
        """Keeps a draft of a file. Raises InputError when the disk is full."""
        entry = _Entry(
            key=draft.key,
            qualname=draft.input.target.qualname,
            at=self._inputs.tell(),
            module=module,
            scope=draft.scope,
            references=draft.references,
        )
        try:
            self._inputs.write(json.dumps(draft.input.model_dump(mode="json", exclude_defaults=True)).encode() + b"\n")
        except OSError as exc:
            raise InputError(f"no room for the jobs in {tempfile.gettempdir()}: {exc.strerror}") from exc
        self._entries.append(entry)

    def drafts(self) -> Iterator[JobDraft]:
        """Wave by wave, in each in the order of the files."""
        number = {entry.key: index for index, entry in enumerate(self._entries)}
        callees = [self._callees(entry) for entry in self._entries]
        needs = [[number[symbol.key] for symbol in found.values() if not symbol.doc] for found in callees]
        wave = waves(needs, list(number), _WAVES)
        for index in sorted(range(len(callees)), key=lambda i: (wave[i], i)):
            shown = {
                name: symbol
                for name, symbol in callees[index].items()
                if symbol.doc or wave[number[symbol.key]] < wave[index]
            }
            entry = self._entries[index]
            yield JobDraft(key=entry.key, input=self._input(entry, shown), wave=wave[index])

    def _input(self, entry: _Entry, callees: dict[str, Symbol]) -> JsonObject:
        self._inputs.seek(entry.at)
        found: dict[str, Any] = json.loads(self._inputs.readline())
        if callees:
            found["facts"]["callees"] = {name: symbol.doc for name, symbol in callees.items()}
        needs = {name: symbol.key for name, symbol in callees.items() if not symbol.doc}
        return {**found, "needs": needs} if needs else found

    def _callees(self, entry: _Entry) -> dict[str, Symbol]:
        """Name in the code -> what it stands for, each definition once, only those with a docstring now or soon."""
        seen = {id(entry.module.symbols.get(entry.qualname))}
        found: dict[str, Symbol] = {}
        for name, symbol in self._named(entry):
            if len(found) < _CALLEES and id(symbol) not in seen and (symbol.doc or symbol.key):
                seen.add(id(symbol))
                found[name] = symbol
        return found

    def _named(self, entry: _Entry) -> Iterator[tuple[str, Symbol]]:
        for reference in entry.references:
            symbol = self.library.resolve(entry.module, entry.scope, reference.name)
            if symbol is not None and not (symbol.doc or symbol.key):  # a class may tell it in its __init__ alone
                symbol = self.library.resolve(entry.module, entry.scope, f"{reference.name}.__init__")
            if symbol is not None:
                yield reference.shown, symbol
        if not entry.qualname:
            yield from self.library.inside(entry.module)
