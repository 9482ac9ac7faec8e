"""The embedded servers, as commands see them: PostgreSQL, broker and cache under one data directory.

The first command starts a supervisor process (``scripts.supervisor``), the next ones find it. It lives until `down`,
or as long as the process that was named as its owner.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.settings import PROJECT_MARKS, Settings, child_environment, settings
from scripts.external import require_valkey
from scripts.supervisor.client import ask, launch, locked, show, wait_until_gone
from scripts.supervisor.files import Layout, prepare, unusable
from scripts.supervisor.values import ALL_ROLES, Program, ProgramStatus, Role, Servers, StartFailed, to_json

__all__ = [
    "Program",
    "ProgramStatus",
    "Role",
    "Servers",
    "addresses",
    "bring_up",
    "data_dir",
    "down",
    "embedded_roles",
    "leave",
    "programs",
    "resolve",
    "running",
    "start",
    "stop",
    "up",
]

_ATTEMPTS = 3


def data_dir(start: Path | None = None) -> Path:
    """Where the servers of a directory's project keep their data.

    ``SWEEP_DIR``; else the nearest ``.sweep/`` from ``start`` (the working directory) upwards; else ``.sweep/`` beside
    the nearest project file; else ``.sweep/`` right here.
    """
    configured = settings().sweep_dir
    if configured is not None:
        return configured.expanduser().absolute()
    here = (start or Path.cwd()).resolve()
    folders = [here, *here.parents]
    for marks in ((".sweep",), PROJECT_MARKS):
        for folder in folders:
            # Not exists(): it raises where a folder on the way is closed to us.
            if any(os.access(folder / mark, os.F_OK) for mark in marks):
                return folder / ".sweep"
    return here / ".sweep"


def up(
    directory: Path,
    programs: Sequence[Program] = (),
    *,
    roles: frozenset[Role] = ALL_ROLES,
    ports: Mapping[Role, int] | None = None,
    owner: int | None = None,
) -> Servers:
    """Makes sure that the servers and programs run, and returns when they answer.

    ``ports`` forces ports. ``owner``: the pid of a process whose end ends everything; None: until `down`.
    Raises InputError.
    """
    request = {
        "op": "up",
        "roles": sorted(roles),
        "ports": dict(ports or {}),
        "owner": owner,
        "programs": [_handed_over(program) for program in programs],
    }
    layout = Layout(directory.absolute())
    with _translated(layout):
        prepare(layout)
        return Servers(**_served(layout, request)["servers"])


def running(directory: Path) -> Servers | None:
    """The servers of a directory, when its supervisor lives."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        shown = show(layout)
    return None if shown is None else Servers(**shown["servers"])


def programs(directory: Path) -> list[ProgramStatus]:
    """The programs that the supervisor keeps; none when there is no supervisor."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        shown = show(layout)
    return [] if shown is None else [ProgramStatus(**raw) for raw in shown["programs"]]


def start(directory: Path, program: Program) -> None:
    """Hands a program over; nothing changes if one of this name is kept already. Raises InputError."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        ask(layout, {"op": "start", "program": _handed_over(program)})


def stop(directory: Path, name: str) -> bool:
    """Stops a program and forgets it; False: there was none of this name."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        return show(layout) is not None and bool(ask(layout, {"op": "stop", "name": name})["found"])


def leave(directory: Path, owner: int) -> None:
    """Takes an owner back. If it was the last, everything stops, and this returns when the last process is gone."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        if show(layout) is not None and ask(layout, {"op": "leave", "owner": owner}).get("ending"):
            wait_until_gone(layout)


def down(directory: Path) -> bool:
    """Stops programs, then servers, and returns when the last is gone; False: nothing was running."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        if show(layout) is None:
            return False
        ask(layout, {"op": "down"})
        wait_until_gone(layout)
    return True


def bring_up(
    loaded: Settings,
    programs: Sequence[Program] = (),
    *,
    ports: Mapping[Role, int] | None = None,
    owner: int | None = None,
) -> dict[str, str]:
    """Starts those servers that no setting names (and the programs); returns what ``resolve`` does."""
    if loaded.redis_url:
        require_valkey("REDIS_URL", loaded.redis_url)
    roles = embedded_roles(loaded)
    servers = up(data_dir(), programs, roles=roles, ports=ports, owner=owner) if roles or programs else Servers()
    return addresses(loaded, servers)


def resolve(loaded: Settings, *, start: bool = False) -> dict[str, str]:
    """DATABASE_URL, REDIS_URL and CACHE_URL: as set, else the embedded servers'.

    ``start``: starts those that are needed and down; otherwise that is an InputError.
    """
    if loaded.redis_url:
        require_valkey("REDIS_URL", loaded.redis_url)
    if not embedded_roles(loaded):
        return addresses(loaded, Servers())
    servers = running(data_dir())
    found = addresses(loaded, servers or Servers())
    if all(found.values()):
        return found
    if start:
        return bring_up(loaded)
    raise InputError(f"the servers of {data_dir()} are not running", hint="start them with `sweep up`")


def embedded_roles(loaded: Settings) -> frozenset[Role]:
    """The servers that no setting names."""
    needed = {
        Role.DATABASE: not loaded.database_url,
        Role.BROKER: not loaded.redis_url,
        Role.CACHE: not loaded.cache(),
    }
    return frozenset(role for role, is_needed in needed.items() if is_needed)


def addresses(loaded: Settings, servers: Servers) -> dict[str, str]:
    """The three URLs: as set, else the given servers'; empty where neither says."""
    return {
        "DATABASE_URL": loaded.database_url or servers.database_url,
        "REDIS_URL": loaded.redis_url or servers.redis_url,
        "CACHE_URL": loaded.cache() or servers.cache_url,
    }


def _served(layout: Layout, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a supervisor that stays: after one that is about to end, or is killed right now, comes another."""
    for _ in range(_ATTEMPTS):
        with locked(layout.start_lock):
            launch(layout)
        with suppress(ConnectionError):
            answer = ask(layout, request)
            if not answer.get("ending"):
                return answer
        wait_until_gone(layout)
    raise ConnectionAbortedError("no supervisor stays")


def _handed_over(program: Program) -> dict[str, Any]:
    """A program with all that it would have had if this command had started it itself."""
    cwd = program.cwd or str(Path.cwd())
    if shutil.which(program.argv[0], path=program.env.get("PATH")) is None:
        raise InputError(f"cannot start {program.name}: no program {program.argv[0]}")
    return {**to_json(program), "cwd": cwd, "env": child_environment(program.env)}


@contextmanager
def _translated(layout: Layout) -> Iterator[None]:
    try:
        yield
    except StartFailed as exc:
        raise InputError(exc.message, hint=exc.hint) from exc
    except ConnectionError as exc:
        raise InputError(
            f"the supervisor of {layout.root} is not running", hint=f"`sweep up`; see {layout.log('supervisor')}"
        ) from exc
    except OSError as exc:
        failure = unusable(layout, exc)
        raise InputError(failure.message, hint=failure.hint) from exc
