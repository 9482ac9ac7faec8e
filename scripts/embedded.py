"""The embedded servers, as commands see them: PostgreSQL, broker and cache under one data directory.

The first command starts a supervisor process (``scripts.supervisor``), the next ones find it. It lives until `down`,
or as long as the process that was named as its owner.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.settings import Settings, child_environment, settings
from scripts.supervisor.files import Layout, open_log, prepare, read_json, tail, try_lock, unusable
from scripts.supervisor.values import (
    ALL_ROLES,
    Program,
    ProgramStatus,
    Role,
    Servers,
    StartFailed,
    to_json,
)

__all__ = [
    "Program",
    "ProgramStatus",
    "Role",
    "Servers",
    "bring_up",
    "data_dir",
    "down",
    "programs",
    "resolve",
    "running",
    "start",
    "stop",
    "up",
]

_ROOT = Path(__file__).resolve().parent.parent
_MARKS = ("pyproject.toml", ".git")
_START_PATIENCE_S = 180.0
_STOP_PATIENCE_S = 180.0
_QUESTION_PATIENCE_S = 10.0


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
    for folder in folders:
        if (folder / ".sweep").is_dir():
            return folder / ".sweep"
    for folder in folders:
        if any((folder / mark).exists() for mark in _MARKS):
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
        answer: dict[str, Any] = {"ending": True}
        while answer.get("ending"):
            with _locked(layout.start_lock):
                _launch(layout)
            answer = _ask(layout, request, _START_PATIENCE_S)
    return Servers(**answer["servers"])


def running(directory: Path) -> Servers | None:
    """The servers of a directory, when its supervisor lives."""
    shown = _show(Layout(directory.absolute()))
    return None if shown is None else Servers(**shown["servers"])


def programs(directory: Path) -> list[ProgramStatus]:
    """The programs that the supervisor keeps; none when there is no supervisor."""
    shown = _show(Layout(directory.absolute()))
    return [] if shown is None else [ProgramStatus(**raw) for raw in shown["programs"]]


def start(directory: Path, program: Program) -> None:
    """Hands a program over; nothing changes if one of this name is kept already. Raises InputError."""
    layout = Layout(directory.absolute())
    with _translated(layout):
        _ask(layout, {"op": "start", "program": _handed_over(program)}, _QUESTION_PATIENCE_S)


def stop(directory: Path, name: str) -> bool:
    """Stops a program and forgets it; False: there was none of this name."""
    layout = Layout(directory.absolute())
    if _show(layout) is None:
        return False
    with _translated(layout):
        return bool(_ask(layout, {"op": "stop", "name": name}, _STOP_PATIENCE_S)["found"])


def down(directory: Path) -> bool:
    """Stops programs, then servers, and returns when the last is gone; False: nothing was running."""
    layout = Layout(directory.absolute())
    if _show(layout) is None:
        return False
    with _translated(layout):
        _ask(layout, {"op": "down"}, _STOP_PATIENCE_S)
        with _locked(layout.lock):
            return True


def bring_up(loaded: Settings, programs: Sequence[Program] = (), *, owner: int | None = None) -> dict[str, str]:
    """Starts those servers that no setting names (and the programs); returns what ``resolve`` does."""
    roles = _embedded_roles(loaded)
    servers = up(data_dir(), programs, roles=roles, owner=owner) if roles or programs else Servers()
    return _environment(loaded, servers)


def resolve(loaded: Settings, *, start: bool = False) -> dict[str, str]:
    """DATABASE_URL, REDIS_URL and CACHE_URL: as set, else the embedded servers'.

    ``start``: starts those that are needed and down; otherwise that is an InputError.
    """
    if not _embedded_roles(loaded):
        return _environment(loaded, Servers())
    servers = running(data_dir())
    found = _environment(loaded, servers or Servers())
    if all(found.values()):
        return found
    if start:
        return bring_up(loaded)
    raise InputError(f"the servers of {data_dir()} are not running", hint="start them with `sweep up`")


def _embedded_roles(loaded: Settings) -> frozenset[Role]:
    needed = {
        Role.DATABASE: not loaded.database_url,
        Role.BROKER: not loaded.redis_url,
        Role.CACHE: not loaded.cache(),
    }
    return frozenset(role for role, is_needed in needed.items() if is_needed)


def _environment(loaded: Settings, servers: Servers) -> dict[str, str]:
    return {
        "DATABASE_URL": loaded.database_url or servers.database_url,
        "REDIS_URL": loaded.redis_url or servers.redis_url,
        "CACHE_URL": loaded.cache() or servers.cache_url,
    }


def _handed_over(program: Program) -> dict[str, Any]:
    """A program with all that it would have had if this command had started it itself."""
    cwd = program.cwd or str(Path.cwd())
    if shutil.which(program.argv[0], path=program.env.get("PATH")) is None:
        raise InputError(f"cannot start {program.name}: no program {program.argv[0]}")
    return {**to_json(program), "cwd": cwd, "env": child_environment(program.env)}


def _launch(layout: Layout) -> None:
    """Starts a supervisor unless one lives, and waits until it listens."""
    if _show(layout) is not None:
        return
    reader, writer = os.pipe()
    log = open_log(layout.log("supervisor"))
    seen = os.fstat(log).st_size
    try:
        starter = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "scripts.supervisor.service", str(layout.root), str(writer)],
            # -m looks here first. In the user's folder a package of his named `core` would come before ours.
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writer,),
            start_new_session=True,
        )
    finally:
        os.close(writer)
        os.close(log)
    said = os.read(reader, 1)
    os.close(reader)
    starter.wait()
    if not said:
        reason = tail(layout.log("supervisor"), seen).strip().splitlines()[-1:]
        raise StartFailed(f"the supervisor does not start: {''.join(reason)}", hint=f"see {layout.log('supervisor')}")


def _show(layout: Layout) -> dict[str, Any] | None:
    try:
        if not layout.endpoint.exists() or _is_free(layout.lock):
            return None
        return _ask(layout, {"op": "show"}, _QUESTION_PATIENCE_S)
    except PermissionError as exc:
        raise InputError(
            f"the servers of {layout.root} belong to another user", hint="run as that user, or set SWEEP_DIR"
        ) from exc
    except ConnectionError:
        return None


def _is_free(lock: Path) -> bool:
    handle = try_lock(lock)
    if handle is None:
        return False
    handle.close()
    return True


def _ask(layout: Layout, request: Mapping[str, Any], patience_s: float) -> dict[str, Any]:
    """One question to the supervisor. Raises StartFailed with its words, ConnectionError when it is not there."""
    endpoint = read_json(layout.endpoint)
    if not endpoint:
        raise ConnectionRefusedError("no supervisor")
    line = json.dumps({**request, "token": endpoint["token"]}) + "\n"
    try:
        with socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=patience_s) as connection:
            connection.sendall(line.encode())
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline() or b"{}")
    except TimeoutError as exc:
        raise StartFailed(
            f"the supervisor (process {endpoint['pid']}) does not answer", hint=f"see {layout.log('supervisor')}"
        ) from exc
    if not isinstance(answer, dict) or (request["op"] == "show" and not answer):
        raise ConnectionAbortedError("the supervisor hung up")
    if "error" in answer:
        raise StartFailed(answer["error"], hint=answer["hint"])
    return answer


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


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
