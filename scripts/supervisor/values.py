"""What commands and the supervisor say to each other. The standard library only: the supervisor starts in 0.1 s."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """One of the three servers."""

    BROKER = "broker"  # broker and gate: AOF, never evicts
    CACHE = "cache"  # bounded, evicts, keeps nothing
    DATABASE = "database"


ALL_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where the servers listen. Empty: that one is not embedded, or not started."""

    database_url: str = ""
    redis_url: str = ""
    cache_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command that the supervisor keeps running; its output goes to ``log/NAME.log``.

    ``env`` comes on top of the environment of the command that hands the program over. Exit status 0 means that it
    ended on purpose; after any other it is started again. ``grace_s``: how long it may take to stop. ``owner``: the
    pid of a process whose end ends the program too.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""  # "": where the command that handed it over was started
    grace_s: float = 20.0
    owner: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramStatus:
    """A program as the supervisor sees it. ``state``: ``running``, ``restarting`` or ``ended``."""

    name: str
    state: str
    pid: int | None
    restarts: int
    exit_code: int | None  # of the last run that ended; -9 means SIGKILL
    log: str


class StartFailed(Exception):
    """A server cannot run. ``client`` turns it into an InputError."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def to_json(value: Servers | Program | ProgramStatus) -> dict[str, Any]:
    """The value's fields as JSON types."""
    return asdict(value)


def program_from_json(raw: Mapping[str, Any]) -> Program:
    """The reverse of ``to_json`` for a program."""
    return Program(**{**raw, "argv": tuple(raw["argv"])})
