"""What lies where in a data directory, and how its files are written."""

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from scripts.supervisor.values import StartFailed

_LOG_LIMIT = 20_000_000
_NEW_CLUSTER = 200_000_000  # initdb writes 45 MB, and the first WAL segments follow
_RUNNING_CLUSTER = 40_000_000

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Layout:
    """A data directory's files."""

    root: Path

    @property
    def start_lock(self) -> Path:
        """Held by the command that is starting a supervisor."""
        return self.root / "start.lock"

    @property
    def lock(self) -> Path:
        """Held by the supervisor and by its servers: free means that the last of them is gone."""
        return self.root / "supervisor.lock"

    @property
    def endpoint(self) -> Path:
        """Where the running supervisor listens, and the token that it wants to see. Mode 0600."""
        return self.root / "supervisor.json"

    @property
    def identity(self) -> Path:
        """The password and the ports, which stay from start to start. Mode 0600."""
        return self.root / "servers.json"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"


def prepare(layout: Layout) -> None:
    """Makes the directory, private and ignored by git. Raises StartFailed when it cannot hold a database."""
    try:
        _check_space(layout)
        if not layout.root.exists():
            layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (layout.root / ".gitignore").write_text("*\n", encoding="ascii")
        owner = layout.root.stat().st_uid
        if owner != os.geteuid():
            raise StartFailed(
                f"the data directory {layout.root} belongs to another user (uid {owner})",
                hint="run as that user, or set SWEEP_DIR to a directory of your own",
            )
        layout.log("supervisor").parent.mkdir(mode=0o700, exist_ok=True)
        layout.start_lock.touch(mode=0o600)
    except OSError as exc:
        raise unusable(layout, exc) from exc


def unusable(layout: Layout, exc: OSError) -> StartFailed:
    """The message for an error that the file system gave."""
    if exc.errno in NO_SPACE:
        return full(layout)
    return StartFailed(
        f"the data directory {layout.root} cannot be written: {exc.strerror}",
        hint="make it writable, or set SWEEP_DIR to another directory",
    )


def full(layout: Layout) -> StartFailed:
    """The message for a file system without space."""
    return StartFailed(
        f"no space left for the data directory {layout.root}",
        hint="free at least 200 MB there, or set SWEEP_DIR to a directory on another disk",
    )


def _check_space(layout: Layout) -> None:
    existing = next(folder for folder in (layout.root, *layout.root.parents) if folder.exists())
    usage = os.statvfs(existing)
    if not os.access(existing, os.W_OK) or usage.f_blocks == 0:
        return  # read-only, or no place for files at all: making the directory tells it
    needed = _RUNNING_CLUSTER if layout.postgres.exists() else _NEW_CLUSTER
    if usage.f_bavail * usage.f_frsize < needed:
        raise full(layout)


def try_lock(path: Path) -> TextIO | None:
    """An exclusive lock, held as long as the file (or an inherited copy) is open. None: somebody has it."""
    handle = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def holders(path: Path) -> list[int]:
    """The processes that have the file open, as far as we may look."""
    wanted = str(path.resolve())
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            links = [str(entry.readlink()) for entry in folder.iterdir()]
        except OSError:
            continue
        if wanted in links:
            found.append(int(folder.parent.name))
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object's content; empty when there is none, or a crash left half of it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step; only its owner can read it, at any instant."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """``write_private`` for a JSON object."""
    write_private(path, json.dumps(content))


def open_log(path: Path) -> int:
    """A descriptor that appends to a log; a large one is moved to ``.1`` first."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def tail(path: Path, start: int, limit: int = 4000) -> str:
    """What was logged from byte ``start`` on, at most its last ``limit`` bytes."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(start, path.stat().st_size - limit))
            return handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def last_line(text: str) -> str:
    """The last line with something in it: in a server's log mostly the reason."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
