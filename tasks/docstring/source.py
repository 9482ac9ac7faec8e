"""The source of a docstring sweep: one job for each definition that lacks a docstring, callees before their callers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError
from tasks.docstring import changed, discover, textfile
from tasks.docstring.options import Options, Source
from tasks.docstring.reading import Draft, Reading
from tasks.docstring.waiting import Waiting
from tasks.kind import Found, Problem

_EVERYTHING = [range(1, 1 << 30)]
_IN_MEMORY = 32 << 20  # bytes of drafts that wait for the last file to be read; more of them wait on disk


def jobs(source: Source, options: Options) -> Iterator[Found]:
    """Files in sorted order. Raises InputError when there is nothing to document, or a named file is bad.

    Problems come while files are read, drafts when all are known, wave by wave.
    """
    places = discover.resolve(source.paths)
    root = discover.root_of(places)
    touched = None if source.changed_since is None else changed.lines(root, source.changed_since)
    length = options.line_length or discover.line_length(root)
    files = unreadable = 0
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as inputs:
        waiting = Waiting(inputs)
        for item in discover.files(places):
            files += 1
            if isinstance(item, Problem):
                unreadable += 1
                yield item
                continue
            ranges = _EVERYTHING if touched is None else touched.get(item.path, [])
            for one in _read(item, root, options, ranges, waiting, length):
                if ranges:
                    unreadable += not one.by_design
                    yield one
        if not len(waiting):
            raise _nothing(source, options, files, unreadable)
        yield from waiting.drafts()


def _nothing(source: Source, options: Options, files: int, unreadable: int) -> InputError:
    where = ", ".join(source.paths)
    if not files:
        return InputError(f"no Python files in {where}")
    what = "improve" if options.improve else "document"
    since = f" changed since {source.changed_since}" if source.changed_since else ""
    bad = f", {unreadable} of them unreadable" if unreadable else ""
    hint = "" if options.improve else "improve extends docstrings that are there, private and nested look further"
    return InputError(f"nothing to {what} in {where}: {files} Python files{since}{bad}", hint=hint)


def _read(
    item: discover.SourceFile, root: Path, options: Options, ranges: list[range], waiting: Waiting, length: int
) -> Iterator[Problem]:
    """Files that did not change are read too: what they document is told to those that call it."""
    where = item.path.relative_to(root).as_posix()
    try:
        where.encode()
        data = _bytes(item.path)
        file = textfile.decode(data)
        tree = textfile.parse(file.text)
    except UnicodeEncodeError:
        yield Problem(where=ascii(where), what="its name is not valid UTF-8")
        return
    except textfile.UnreadableSource as exc:
        if item.named and ranges:
            raise InputError(f"{item.path}: {exc}") from exc
        yield Problem(where=where, what=str(exc))
        return
    reading = Reading(file, tree, item.path, root, options, ranges)
    for one in reading.drafts(length):
        if isinstance(one, Draft):
            waiting.add(one, reading.module)
        else:
            yield one
    waiting.library.add(reading.module)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > discover.MAX_BYTES:
            raise textfile.UnreadableSource(f"larger than {discover.MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as exc:
        raise textfile.UnreadableSource(f"cannot be read: {exc.strerror}") from exc
