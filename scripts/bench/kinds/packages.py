"""Packages that only this bench needs: each from a lock of its own, into a place of its own."""

import subprocess
import sys
from pathlib import Path

from scripts.bench.ground import NotMeasured

_LOCKS = Path(__file__).parents[3] / "requirements"


def environment(name: str, home: Path) -> Path:
    """A virtual environment with what ``requirements/NAME.lock`` names; returns its programs. Raises NotMeasured."""
    _uv(name, "venv", "-q", str(home))
    _install(name, "--python", str(home / "bin" / "python"))
    return home / "bin"


def unpack(name: str, target: Path) -> None:
    """The files of pure Python packages, to read what is in them. Raises NotMeasured."""
    _install(name, "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(target))


def _install(name: str, *options: str) -> None:
    # The system's certificates, which a mirror may need.
    locked = ["--require-hashes", "--requirement", str(_LOCKS / f"{name}.lock")]
    _uv(name, "pip", "install", "-q", "--system-certs", *options, *locked)


def _uv(name: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "uv", *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NotMeasured(f"{name} can't be installed; is a package index reachable?\n{done.stderr.strip()}")
