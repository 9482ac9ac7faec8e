"""Writes docstrings into the source (`sweep apply`): each file whole and at once, or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.model import ResultRow
from tasks.docstring.patch import diff
from tasks.docstring.plan import FileChange, Skipped, changes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyReport:
    """What an apply did. Counts are definitions; ``present``: they had that very docstring already."""

    files: tuple[Path, ...] = ()
    inserted: int = 0
    present: int = 0
    skipped: tuple[Skipped, ...] = ()


class _Tally:
    def __init__(self) -> None:
        self.files: list[Path] = []
        self.skipped: list[Skipped] = []
        self.inserted = self.present = 0

    def add(self, change: FileChange) -> None:
        if change.new != change.old:
            self.files.append(change.path)
        self.inserted += len(change.done)
        self.present += len(change.present)
        self.skipped.extend(change.skipped)

    def report(self) -> ApplyReport:
        return ApplyReport(
            files=tuple(self.files), inserted=self.inserted, present=self.present, skipped=tuple(self.skipped)
        )


def apply(rows: Iterator[ResultRow]) -> ApplyReport:
    """Writes every file that is as the sweep read it; the others are named in the report."""
    tally = _Tally()
    for change in changes(rows):
        if isinstance(change, Skipped):
            tally.skipped.append(change)
            continue
        try:
            if change.new != change.old:
                write_file(change.path, change.new)
        except InputError as exc:
            tally.skipped.append(Skipped(where=str(change.path), reason=exc.message))
        else:
            tally.add(change)
    return tally.report()


def patch(rows: Iterator[ResultRow]) -> tuple[bytes, ApplyReport]:
    """The same as one unified diff, nothing written. Paths are relative to the sweep's root."""
    out = bytearray()
    tally = _Tally()
    for change in changes(rows):
        if isinstance(change, Skipped):
            tally.skipped.append(change)
        else:
            out += diff(change.path.relative_to(change.root).as_posix(), change.old, change.new)
            tally.add(change)
    return bytes(out), tally.report()


def write_file(path: Path, data: bytes) -> None:
    """Atomically, keeping the mode; a link stays a link. Raises InputError."""
    real = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if real.exists():
                shutil.copymode(real, name)
            Path(name).replace(real)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror}", hint="is it writable, is the disk full?") from exc
