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


def apply(rows: Iterator[ResultRow]) -> ApplyReport:
    """Writes every file that is as the sweep read it; names the others. Raises InputError for one not writable."""
    report = ApplyReport()
    for change in changes(rows):
        if isinstance(change, FileChange) and change.new != change.old:
            write_file(change.path, change.new)
        report = _added(report, change)
    return report


def patch(rows: Iterator[ResultRow]) -> tuple[bytes, ApplyReport]:
    """The same as one unified diff, nothing written. Paths are relative to the sweep's root."""
    out = bytearray()
    report = ApplyReport()
    for change in changes(rows):
        if isinstance(change, FileChange):
            out += diff(change.path.relative_to(change.root).as_posix(), change.old, change.new)
        report = _added(report, change)
    return bytes(out), report


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
        raise InputError(f"cannot write {path}: {exc.strerror}", hint="files written before it are complete") from exc


def _added(report: ApplyReport, change: FileChange | Skipped) -> ApplyReport:
    if isinstance(change, Skipped):
        return ApplyReport(
            files=report.files,
            inserted=report.inserted,
            present=report.present,
            skipped=(*report.skipped, change),
        )
    changed = change.new != change.old
    return ApplyReport(
        files=(*report.files, change.path) if changed else report.files,
        inserted=report.inserted + len(change.done),
        present=report.present + len(change.present),
        skipped=(*report.skipped, *change.skipped),
    )
