"""What the demo works on: input that nobody here wrote, copied aside so that nothing of it is touched."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from tasks.exhibit import show_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The three sources, as the kinds want them."""

    docstring: dict[str, Any]
    dictionary: dict[str, Any]
    embedding: dict[str, Any]


def gather(scratch: Path, database_url: str, *, src: str, db: str, docs: str) -> Inputs:
    """The user's own input where it is given, else what the installed packages bring. Raises InputError."""
    return Inputs(
        docstring={"paths": [src] if src else [str(_package_source("flower", scratch))]},
        dictionary={"url": db or show_tables(database_url)},
        embedding={"paths": [docs]} if docs else {"packages": True},
    )


def _package_source(name: str, scratch: Path) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {name} is not installed", hint="run `make demo`, which installs it")
    target = scratch / "source"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(
        spec.submodule_search_locations[0], target / name, ignore=shutil.ignore_patterns("__pycache__", "static")
    )
    return target
