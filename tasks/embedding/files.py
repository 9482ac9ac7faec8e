"""Files and directories of text, JSONL and CSV as documents."""

import codecs
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tasks import records
from tasks.embedding.documents import Document, Read, from_row, pieces_of
from tasks.embedding.markup import SUFFIXES, Markup
from tasks.embedding.spec import EmbeddingSource
from tasks.kind import Problem

_BLOCK = 1 << 20
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))
_MOST_CONTROL = 0.4  # stray NULs are cleaned away; UTF-16 read as UTF-8 has every second byte zero


def documents(source: EmbeddingSource) -> Iterator[Read]:
    """All documents of ``source.paths``: in the order given, directories sorted, each file once."""
    seen: set[tuple[int, int]] = set()
    for name in source.paths:
        for found in _files(Path(name), source):
            if isinstance(found, Problem):
                yield found
            elif _is_new(found, seen):
                yield from _read(found, source)


def _files(path: Path, source: EmbeddingSource) -> Iterator[Path | Problem]:
    if path.is_dir():
        yield from _walk(path, _wanted(source))
    elif path.is_file():
        yield path
    else:
        what = "neither a file nor a directory" if path.exists() else "no such file or directory"
        yield Problem(where=str(path), what=what)


def _wanted(source: EmbeddingSource) -> frozenset[str]:
    wanted = frozenset(SUFFIXES)
    if source.field is not None:
        wanted |= records.JSONL_SUFFIXES
    if source.column is not None:
        wanted |= records.CSV_SUFFIXES
    return wanted


def _walk(root: Path, suffixes: frozenset[str]) -> Iterator[Path | Problem]:
    """Hidden files and directories are left out, links to directories are not followed."""
    unreadable: list[OSError] = []
    for directory, below, names in os.walk(root, onerror=unreadable.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Problem(where=str(exc.filename), what=f"cannot be read: {exc.strerror}") for exc in unreadable)
        unreadable.clear()
        for name in sorted(names):
            path = Path(directory, name)
            if path.suffix.lower() in suffixes and not name.startswith(".") and path.is_file():
                yield path
    yield from (Problem(where=str(exc.filename), what=f"cannot be read: {exc.strerror}") for exc in unreadable)


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        found = path.stat()
    except OSError:
        return True  # reading it will tell why
    identity = (found.st_dev, found.st_ino)
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _read(path: Path, source: EmbeddingSource) -> Iterator[Read]:
    suffix = path.suffix.lower()
    if suffix in records.JSONL_SUFFIXES:
        yield from _rows(path, source.field or "text", source)
    elif suffix in records.CSV_SUFFIXES:
        yield from _rows(path, source.column or "text", source)
    else:
        yield _text_file(path, source.encoding)


def _text_file(path: Path, default: str) -> Read:
    """Reads the file once for its checksum: what is no text is told before its first chunk, not after."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            start = stream.peek(4)
            encoding = records.encoding_of(start, default)
            decoder = codecs.getincrementaldecoder(encoding)()
            control = size = 0
            while block := stream.read(_BLOCK):
                digest.update(block)
                decoder.decode(block)
                size += len(block)
                control += len(block) - len(block.translate(None, _CONTROL))
            decoder.decode(b"", final=True)
    except UnicodeError as exc:
        return Problem(where=str(path), what=f"not {encoding} text: {getattr(exc, 'reason', exc)}")
    except OSError as exc:
        return Problem(where=str(path), what=f"cannot be read: {exc.strerror or exc}")
    if control > size * _MOST_CONTROL and not encoding.startswith(("utf-16", "utf-32")):
        return Problem(where=str(path), what="binary, not text")

    def pieces() -> Iterator[str]:
        with path.open(encoding=encoding) as stream:
            yield from pieces_of(stream)

    markup = SUFFIXES.get(path.suffix.lower(), Markup.TEXT)
    return Document(key=path.as_posix(), title=path.name, sha256=digest.hexdigest(), markup=markup, pieces=pieces)


def _rows(path: Path, field: str, source: EmbeddingSource) -> Iterator[Read]:
    for record in records.read(str(path)):
        if isinstance(record, Problem):
            yield record
        else:
            where = f"{path.as_posix()}:{record.line}"
            yield from_row(record.values, where=where, field=field, key=source.key, title=path.name)
