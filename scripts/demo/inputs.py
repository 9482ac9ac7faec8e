"""What the demo works on: input that nobody here wrote, copied aside so that nothing of it is touched."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.settings import RULES
from core.sweep import SweepSpec, Target
from tasks import producer
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


def require_usable(*, src: str, db: str, docs: str) -> None:
    """Raises InputError when the user's own input gives no job, before anything is started."""
    given: list[tuple[str, dict[str, Any]]] = []
    given += [("docstring", {"paths": [src]})] if src else []
    given += [("dictionary", {"url": db})] if db else []
    given += [("embedding", {"paths": [docs]})] if docs else []
    for kind, source in given:
        spec = SweepSpec(name="demo", kind=kind, source=source, targets=(Target(provider=RULES, model=RULES),))
        producer.preview(spec, 1)


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
