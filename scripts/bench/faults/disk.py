"""Disks that fill up: the servers' folders are small file systems of their own, which takes a right that root has."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.bench.faults.judge import Case, bounded
from scripts.bench.faults.servers import held, kept_back
from scripts.bench.faults.stage import NotPlayable, Stage

_AWAY_S = 6.0
_BLOCKS = (2**20, 2**16, 2**12)
_SIZES = {"": 420, "broker": 24}  # MB, by folder of the servers' directory


@contextmanager
def small_disks(directory: Path) -> Iterator[None]:
    """File systems of a few megabytes where the servers will be. Raises NotPlayable."""
    mounted: list[Path] = []
    try:
        for folder, size in _SIZES.items():
            place = directory / "servers" / folder
            place.mkdir(mode=0o700, exist_ok=True)
            _mount(place, size)
            mounted.append(place)
        yield
    finally:
        for place in reversed(mounted):
            _run("umount", "--lazy", str(place))


def _mount(place: Path, megabytes: int) -> None:
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place))


def _run(*words: str) -> None:
    program = shutil.which(words[0])
    if program is None:
        raise NotPlayable(f"there is no {words[0]}")
    done = subprocess.run(  # noqa: S603 - our own command
        [program, *words[1:]], check=False, capture_output=True, text=True, timeout=30
    )
    if done.returncode != 0:
        raise NotPlayable(f"{words[0]}: {done.stderr.strip() or done.returncode}")


def postgres_full(stage: Stage) -> Case:
    """No room for rows: no call is made whose result could not be kept, and on it goes when there is room."""
    run = stage.begin("postgres-disk-full", 500)
    run.reach(0.3)
    with _filled(stage.arena.directory / "servers"):
        sent = held(run, _AWAY_S)
    return kept_back(run, f"PostgreSQL's disk full for {_AWAY_S:g} s", sent)


def broker_full(stage: Stage) -> Case:
    """No room for the append-only file: the server refuses every write, so nothing is sent."""
    fault = f"broker's disk full for {_AWAY_S:g} s"
    run = stage.begin("broker-disk-full", 500)
    run.reach(0.3)
    with _filled(stage.arena.directory / "servers" / "broker"):
        sent = held(run, _AWAY_S)
    case = kept_back(run, fault, sent)
    ended = stage.staff_size - len(stage.arena.living())
    return case.also(bounded(fault, "workers that ended", ended, "workers", 0))


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """Not a page is free inside the block."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb") as file:
            for size in _BLOCKS:
                _grow(file.fileno(), size)
        yield
    finally:
        ballast.unlink(missing_ok=True)


def _grow(file: int, size: int) -> None:
    """By blocks until there is no room for another; the server writes meanwhile."""
    with suppress(OSError):
        while True:
            os.posix_fallocate(file, os.fstat(file).st_size, size)
