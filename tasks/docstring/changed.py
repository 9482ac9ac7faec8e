"""Which lines git says have changed since a revision."""

import re
import subprocess
from pathlib import Path

from core.errors import InputError

_HUNK = re.compile(rb"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_WHOLE = range(1, 1 << 30)


def lines(root: Path, revision: str) -> dict[Path, list[range]]:
    """Changed line ranges by file; a file that git does not track yet is new as a whole. Raises InputError."""
    top = Path(_git(root, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit_id = commit.decode().strip()
    diff = _git(
        top, "-c", "core.quotePath=false", "diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-renames",
        "--src-prefix=a/", "--dst-prefix=b/", commit_id, "--", "*.py",
    )  # fmt: skip
    found = _hunks(top, diff)
    fresh = _git(top, "ls-files", "-z", "--others", "--exclude-standard", "--", "*.py")
    found.update({top / name.decode(): [_WHOLE] for name in fresh.split(b"\0") if name})
    return found


def _hunks(top: Path, diff: bytes) -> dict[Path, list[range]]:
    found: dict[Path, list[range]] = {}
    current: list[range] = []
    for line in diff.split(b"\n"):
        if line.startswith(b"+++ b/"):
            current = found.setdefault(top / line[6:].rstrip(b"\t").decode(errors="surrogateescape"), [])
        hunk = _HUNK.match(line)
        if hunk:
            start, count = int(hunk[1]), int(hunk[2] or 1)
            current.append(range(start, start + max(count, 1)))
    return found


def _git(directory: Path, *args: str) -> bytes:
    try:
        done = subprocess.run(["git", *args], cwd=directory, capture_output=True, check=False)  # noqa: S603, S607 - the user's own git, arguments as a list
    except OSError as exc:
        raise InputError(f"git cannot be started: {exc.strerror}", hint="changed_since needs git") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[0] if said else "no such revision"
        raise InputError(f"changed_since: {reason}", hint=f"{directory} must be in a git repository with that revision")
    return done.stdout
