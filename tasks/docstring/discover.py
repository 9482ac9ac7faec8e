"""Which files a source means: directories walked in sorted order, files, installed packages."""

import importlib.util
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from core.errors import InputError
from tasks.kind import Problem

MAX_BYTES = 1_000_000
DEFAULT_LINE_LENGTH = 88
_SKIPPED = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", "env"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to read. ``named``: the user named the file itself, so that a fault in it is the user's to hear."""

    path: Path
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file or directory that the user named. ``root``: a directory itself, a file's or a package's parent."""

    path: Path
    root: Path


def resolve(names: Sequence[str]) -> list[Place]:
    """Files and directories that exist; a name that is no path may be an installed package. Raises InputError."""
    return [_resolved(name) for name in names]


def root_of(places: Sequence[Place]) -> Path:
    """What keys and patches are relative to: what all places share."""
    return Path(os.path.commonpath([place.root for place in places]))


def files(places: Sequence[Place], suffixes: tuple[str, ...] = (".py",)) -> Iterator[SourceFile | Problem]:
    """Every file of the suffixes, and every named one, once, sorted within each path.

    A directory that cannot be read is a problem, not the end.
    """
    seen: set[Path] = set()
    for place in places:
        one = [SourceFile(path=place.path, named=True)]
        for item in _walk(place.path, suffixes) if place.path.is_dir() else one:
            if isinstance(item, SourceFile):
                if item.path in seen:
                    continue
                seen.add(item.path)
            yield item


def line_length(path: Path) -> int:
    """What the project around a directory has told ruff or black; 88 where nobody told."""
    for directory in [path, *path.parents]:
        told = _configured(directory)
        if told is not None:
            return told
        if (directory / ".git").exists() or (directory / "pyproject.toml").exists():
            break
    return DEFAULT_LINE_LENGTH


def _resolved(name: str) -> Place:
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            return Place(path=path.resolve(), root=path.resolve())
        if path.is_file():
            return Place(path=path.resolve(), root=path.resolve().parent)
        if path.exists():
            raise InputError(f"{name} is neither a file nor a directory")
        found = _package(name)
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot read {name!r}: {exc}") from exc
    if found is None:
        raise InputError(
            f"no such file, directory or installed package: {name!r}", hint="give a path, or an importable name"
        )
    return Place(path=found, root=found.parent)


def _package(name: str) -> Path | None:
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError):
        return None
    except ValueError:  # it is imported, and has put something without a spec into its own place, as kombu does
        spec = PathFinder.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def _walk(top: Path, suffixes: tuple[str, ...]) -> Iterator[SourceFile | Problem]:
    # Links are not followed: a loop of links ends by itself, and nothing outside the tree is written to later.
    problems: list[Problem] = []

    def note(error: OSError) -> None:
        problems.append(Problem(where=str(error.filename), what=f"cannot be read: {error.strerror}"))

    for directory, inner, names in os.walk(top, onerror=note):
        inner[:] = sorted(name for name in inner if not _is_skipped(Path(directory, name)))
        yield from problems
        problems.clear()
        for name in sorted(names):
            path = Path(directory, name)
            if name.endswith(suffixes) and path.is_file() and not path.is_symlink():
                yield SourceFile(path=path, named=False)
    yield from problems


def _is_skipped(directory: Path) -> bool:
    name = directory.name
    return name in _SKIPPED or name.startswith(".") or name.endswith(".egg-info") or (directory / "pyvenv.cfg").exists()


def _configured(directory: Path) -> int | None:
    for name, keys in (
        ("ruff.toml", ((),)),
        (".ruff.toml", ((),)),
        ("pyproject.toml", (("tool", "ruff"), ("tool", "black"))),
    ):
        table = _toml(directory / name)
        for key in keys:
            length = _at(table, *key).get("line-length")
            if isinstance(length, int) and 40 <= length <= 320:
                return length
    return None


def _at(table: dict[str, object], *keys: str) -> dict[str, object]:
    for key in keys:
        inner = table.get(key)
        table = inner if isinstance(inner, dict) else {}
    return table


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no such file, or one that ruff will complain about itself
