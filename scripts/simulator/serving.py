"""Listening: from a chosen address to a clean stop."""

import asyncio
import contextlib
import ipaddress
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

import core.tokens
from core.clock import SystemClock
from core.errors import InputError
from core.model import Message
from scripts.simulator.answers import Writer
from scripts.simulator.options import AnswerMode, Options, TokenMode
from scripts.simulator.server import Simulator

_MAX_BODY = 64 * 2**20  # 2,048 inputs as token ids, with room
_BACKLOG = 4096
_PARENT_CHECK_S = 0.5
# Each of aiohttp's two phases of shutdown waits that long for calls in flight; 0 would be for ever.
_GRACE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the command listens, and whom it tells."""

    host: str = "127.0.0.1"
    port: int = 0
    port_file: Path | None = None
    with_parent: bool = False


def check_host(host: str, *, expose: bool) -> None:
    """Raises InputError for an address that others can reach, unless that is wanted: the simulator trusts everyone."""
    if expose or host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise InputError(
        f"{host} is not a loopback address",
        hint="the simulator lets anyone who reaches it read and change everything; add --expose if that is wanted",
    )


def run(options: Options, where: Listen) -> None:
    """The command: serves until SIGTERM, SIGINT or the parent's end. Raises InputError."""
    from tasks.registry import answer  # noqa: PLC0415  only the real command needs the kinds

    # Modules and rank files are loaded before anybody measures a latency.
    if options.answers is AnswerMode.RULES:
        answer([Message(role="user", content="")])
    if options.tokens is TokenMode.EXACT:
        for model in ("gpt-4o", "text-embedding-3-small"):
            core.tokens.count("", model)
    uvloop.run(_foreground(options, where, answer))


async def serve(
    options: Options,
    listening: socket.socket,
    *,
    writer: Writer,
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serves on a bound socket until ``stop``; closes it."""
    server = web.Server(
        Simulator(options, SystemClock(), writer).handle,
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
    )
    accepting = await asyncio.get_running_loop().create_server(server, sock=listening, backlog=_BACKLOG)
    try:
        ready()
        await stop.wait()
    finally:
        accepting.close()
        await server.shutdown(_GRACE_S)


def bound_socket(host: str, port: int) -> socket.socket:
    """Raises InputError when the address cannot be had."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
        )
    except OSError as exc:
        raise InputError(
            f"cannot listen on {host} port {port}: {os.strerror(exc.errno) if exc.errno else exc}",
            hint="choose another port, or --port 0 for a free one",
        ) from exc


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _foreground(options: Options, where: Listen, writer: Writer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_many_connections()
    listening = bound_socket(where.host, where.port)

    def announce() -> None:
        if where.port_file is not None:
            _write(where.port_file, f"{listening.getsockname()[1]}\n")
        # The last sign of life: who reads the first line may close the pipe.
        with contextlib.suppress(BrokenPipeError):
            print(url_of(listening), flush=True)

    watching = asyncio.create_task(_parent_gone(os.getppid(), stop)) if where.with_parent else None
    try:
        await serve(options, listening, writer=writer, ready=announce, stop=stop)
    finally:
        if watching is not None:
            watching.cancel()


async def _parent_gone(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110  the kernel tells it to nobody's event
        await asyncio.sleep(_PARENT_CHECK_S)
    stop.set()


def _write(path: Path, text: str) -> None:
    """Whole or not at all: who waits for the file must not read half a number."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {exc.strerror}", hint="choose another --port-file") from exc


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=_MAX_BODY
    )


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        # A thousand calls in flight are a thousand connections; the usual soft limit is 1,024.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
