"""Installs the project into its venv. Standard library only: it runs before anything is installed.

``install.py venv DIR`` · ``install.py sync DIR LOCK`` · ``install.py lock DIR``
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"


def main(argv: list[str]) -> int:
    """Runs one of the three commands; exit code 2 with one line of reason when it can't."""
    match argv:
        case ["venv", directory]:
            return _venv(pathlib.Path(directory))
        case ["sync", directory, lock]:
            return _sync(pathlib.Path(directory), pathlib.Path(lock))
        case ["lock", directory]:
            return _lock(pathlib.Path(directory))
        case _:
            print(__doc__, file=sys.stderr)
            return 2


def _venv(directory: pathlib.Path) -> int:
    # Without pip: Debian ships venv's pip in a package of its own, and pip can install into any environment.
    if _run(sys.executable, "-m", "venv", "--without-pip", str(directory)) == 0:
        return 0
    print(f"llmsweep: {sys.executable} can't make a virtual environment in {directory}", file=sys.stderr)
    return 2


def _sync(directory: pathlib.Path, lock: pathlib.Path) -> int:
    python = directory / "bin" / "python"
    project = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    locked = ["--require-hashes", "--requirement", str(lock)]
    # The system's certificates, which a mirror may need; without its cache where there is no home to keep it in.
    uv = [str(directory / "bin" / "uv"), "pip", "install", "--quiet", "--system-certs", "--python", str(python)]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    print(f"llmsweep: installing {lock.name} into {directory}/", file=sys.stderr)
    said = []
    if not pathlib.Path(uv[0]).exists():
        said.append(_try(*pip, "--require-hashes", "--requirement", str(REQUIREMENTS / "bootstrap.lock")))
    for installer in (uv, [*uv, "--no-cache"], pip):
        problem = _try(*installer, *locked) or _try(*installer, *project)
        if not problem:
            return 0
        said.append(problem)
    print(*(text.strip() for text in said if text), sep="\n", file=sys.stderr)
    print(f"llmsweep: the packages of {lock} could not be installed; is a package index reachable?", file=sys.stderr)
    return 2


def _lock(directory: pathlib.Path) -> int:
    uv = str(directory / "bin" / "uv")
    options = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    for name in ("bootstrap", "runtime", "dev", "local", "pydoclint", "chinook"):
        pins = ["--constraints", str(REQUIREMENTS / "runtime.lock")] if name in {"dev", "local"} else []
        pins += ["--no-deps"] if name == "chinook" else []
        source, lock = REQUIREMENTS / f"{name}.in", REQUIREMENTS / f"{name}.lock"
        if _run(uv, "pip", "compile", *options, *pins, str(source), "--output-file", str(lock)) != 0:
            return 2
    return 0


def _run(*command: str) -> int:
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603 - our own commands, no shell
    except FileNotFoundError:
        return 127


def _try(*command: str) -> str:
    """Nothing when the command worked, else what it said."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours, no shell
    except FileNotFoundError:
        return f"no {command[0]}"
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"{command[0]} ended with {done.returncode}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
