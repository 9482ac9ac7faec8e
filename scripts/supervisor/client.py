"""How a command finds the supervisor, starts it, and talks to it."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.supervisor.files import Layout, open_log, read_json, tail, try_lock
from scripts.supervisor.values import StartFailed

_ROOT = Path(__file__).resolve().parent.parent.parent
_PATIENCE_S = 180.0  # PostgreSQL may have to recover, a worker to finish its calls
_LOOK_PATIENCE_S = 10.0


def launch(layout: Layout) -> None:
    """Starts a supervisor unless one lives, and waits until it listens."""
    if show(layout) is not None:
        return
    reader, writer = os.pipe()
    log = open_log(layout.log("supervisor"))
    seen = os.fstat(log).st_size
    try:
        starter = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "scripts.supervisor", str(layout.root), str(writer)],
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


def show(layout: Layout) -> dict[str, Any] | None:
    """What runs; None: no supervisor lives. Raises StartFailed when it is another user's, or stuck."""
    try:
        if not layout.endpoint.exists() or _is_free(layout.lock):
            return None
        return ask(layout, {"op": "show"}, _LOOK_PATIENCE_S)
    except PermissionError as exc:
        raise StartFailed(
            f"the servers of {layout.root} belong to another user", hint="run as that user, or set SWEEP_DIR"
        ) from exc
    except ConnectionError:
        return None


def wait_until_gone(layout: Layout) -> None:
    """The supervisor and its servers hold the lock, each for itself, until the last of them has ended."""
    with locked(layout.lock):
        return


def _is_free(lock: Path) -> bool:
    handle = try_lock(lock)
    if handle is None:
        return False
    handle.close()
    return True


def ask(layout: Layout, request: Mapping[str, Any], patience_s: float = _PATIENCE_S) -> dict[str, Any]:
    """One question to the supervisor. Raises StartFailed with its words, ConnectionError when it is not there."""
    endpoint = read_json(layout.endpoint)
    if not endpoint:
        raise ConnectionRefusedError("no supervisor")
    line = json.dumps({**request, "token": endpoint["token"]}) + "\n"
    try:
        with socket.create_connection(("127.0.0.1", endpoint["port"]), timeout=patience_s) as connection:
            connection.sendall(line.encode())
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except TimeoutError as exc:
        raise StartFailed(
            f"the supervisor (process {endpoint['pid']}) does not answer", hint=f"see {layout.log('supervisor')}"
        ) from exc
    except ValueError as exc:
        raise ConnectionAbortedError("the supervisor hung up, or another program has its port now") from exc
    if "error" in answer:
        raise StartFailed(answer["error"], hint=answer["hint"])
    return dict(answer)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for an exclusive lock."""
    with path.open("a", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
