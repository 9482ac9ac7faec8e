"""Code as symbols: files and directories walked in sorted order, what cannot be read named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.docstring import discover, textfile
from tasks.gap.facts import Symbol
from tasks.gap.foreign import LANGUAGES, foreign_symbols
from tasks.gap.symbols import python_symbols
from tasks.kind import Problem
from tasks.records import encoding_of

_SUFFIXES = (".py", *LANGUAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One file's symbols, in its order. ``name``: relative to the root of all code that was given."""

    name: str
    symbols: tuple[Symbol, ...]


def root_of(names: Sequence[str]) -> Path:
    """What module names are relative to. Raises InputError for a path that is not there."""
    return discover.root_of(discover.resolve(names))


def modules(names: Sequence[str], *, private: bool) -> Iterator[Module | Problem]:
    """Every file of a known language. Raises InputError for a path that is not there."""
    places = discover.resolve(names)
    root = discover.root_of(places)
    for item in discover.files(places, suffixes=_SUFFIXES):
        if isinstance(item, Problem):
            yield item
            continue
        name = item.path.relative_to(root).as_posix()
        try:
            found = tuple(_symbols(item.path, name, private=private))
        except textfile.UnreadableSource as exc:
            yield Problem(where=name if name.isprintable() else ascii(name), what=str(exc))
            continue
        yield Module(name=name, symbols=found)


def _symbols(path: Path, name: str, *, private: bool) -> Iterator[Symbol]:
    if not name.isprintable():
        raise textfile.UnreadableSource("its name holds characters that cannot be told in one line of text")
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise textfile.UnreadableSource(f"no known language: {suffix or 'no suffix'}")
    data = _bytes(path)
    if suffix == ".py":
        return python_symbols(textfile.decode(data).text, name, private=private)
    return foreign_symbols(_decoded(data), name, suffix, private=private)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > discover.MAX_BYTES:
            raise textfile.UnreadableSource(f"larger than {discover.MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as exc:
        raise textfile.UnreadableSource(f"cannot be read: {exc.strerror}") from exc


def _decoded(data: bytes) -> str:
    encoding = encoding_of(data)
    if b"\0" in data and not encoding.startswith(("utf-16", "utf-32")):
        raise textfile.UnreadableSource("holds NUL bytes: not a text file")
    try:
        return data.decode(encoding)
    except UnicodeError as exc:
        raise textfile.UnreadableSource(f"cannot be decoded: {exc}") from exc
