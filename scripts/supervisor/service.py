"""The supervisor process: ``python -m scripts.supervisor.service DIRECTORY READY_FD``.

It holds the directory's lock, starts servers and programs when a command asks for them, keeps them running, and stops
them in order. It listens on loopback, one JSON line a request, and answers only those who know the token.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TextIO

from core.clock import SystemClock
from scripts.supervisor.boot import boot, load_identity, server
from scripts.supervisor.files import Layout, holders, read_json, try_lock, unusable, write_json
from scripts.supervisor.owners import Owners
from scripts.supervisor.process import Child, Command, Keeper
from scripts.supervisor.values import Program, ProgramStatus, Role, Servers, StartFailed, program_from_json, to_json

_LOCK_PATIENCE_S = 15.0
_CLOCK = SystemClock()
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Three servers and any number of programs."""

    def __init__(self, layout: Layout, lock: TextIO) -> None:
        self._layout = layout
        self._lock = lock
        self._identity = load_identity(layout)
        self._servers: dict[Role, Keeper] = {}
        self._programs: dict[str, Keeper] = {}
        self._one_at_a_time = asyncio.Lock()
        self._over = asyncio.Event()
        self._owners = Owners(self._over.set)
        self._operations: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "up": self._up,
            "down": self._down,
            "start": self._start,
            "stop": self._stop,
        }

    def end(self) -> None:
        """Asks ``run`` to stop everything and return."""
        self._over.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serves until somebody asks it to end, or its last owner is gone."""
        token = secrets.token_hex(24)
        listener = await asyncio.start_server(lambda r, w: self._converse(token, r, w), "127.0.0.1", 0, limit=2**24)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            write_json(self._layout.endpoint, {"port": port, "token": token, "pid": os.getpid()})
            ready()
            await self._over.wait()
            async with self._one_at_a_time:
                await self._stop_all()
            self._layout.endpoint.unlink(missing_ok=True)

    async def _converse(self, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            if not hmac.compare_digest(str(request.get("token", "")), token):
                return
            writer.write(json.dumps(await self._answer(request)).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            return  # a stranger, or a command that did not wait for its answer
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "show":
            return self._show()
        try:
            async with self._one_at_a_time:
                if self._over.is_set():
                    return {"ending": True}
                return await self._operations[request["op"]](request)
        except StartFailed as exc:
            failure = exc
        except OSError as exc:
            failure = unusable(self._layout, exc)
        if not self._servers and not self._programs:
            self.end()  # nothing ever ran: do not stay behind
        return {"error": failure.message, "hint": failure.hint}

    async def _up(self, request: dict[str, Any]) -> dict[str, Any]:
        """Starts the servers that are asked for and do not run yet, then the programs."""
        self._owners.add(request.get("owner"))
        roles = [Role(role) for role in request["roles"]]
        wanted = {Role(role): int(port) for role, port in request["ports"].items()}
        for role in self._servers.keys() & wanted.keys():
            if wanted[role] != self._identity.ports[role]:
                raise StartFailed(
                    f"the {role} server already runs on port {self._identity.ports[role]}",
                    hint="stop it first: sweep down",
                )
        missing = [role for role in roles if role not in self._servers]
        booted = await asyncio.gather(
            *(boot(role, self._identity, wanted, self._lock) for role in missing), return_exceptions=True
        )
        await self._take(missing, booted)
        for raw in request["programs"]:
            await self._run_program(raw)
        return {"servers": to_json(self._addresses())}

    async def _take(self, roles: list[Role], booted: list[Child | BaseException]) -> None:
        """Keeps the servers when all have started, else none of them."""
        started = {role: child for role, child in zip(roles, booted, strict=True) if isinstance(child, Child)}
        failures = [child for child in booted if isinstance(child, BaseException)]
        if failures:
            await asyncio.gather(*(child.stop() for child in started.values()))
            raise failures[0]
        self._identity.save()
        self._servers.update({role: Keeper(child) for role, child in started.items()})

    def _addresses(self) -> Servers:
        urls = {role: server(role, self._identity).url(self._identity.ports[role]) for role in self._servers}
        return Servers(
            database_url=urls.get(Role.DATABASE, ""),
            redis_url=urls.get(Role.BROKER, ""),
            cache_url=urls.get(Role.CACHE, ""),
        )

    async def _down(self, _: dict[str, Any]) -> dict[str, Any]:
        await self._stop_all()
        self.end()
        return {}

    async def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        await self._run_program(request["program"])
        return {}

    async def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        keeper = self._programs.pop(request["name"], None)
        if keeper is not None:
            await keeper.stop()
        return {"found": keeper is not None}

    def _show(self) -> dict[str, Any]:
        programs = [to_json(_status(name, keeper)) for name, keeper in self._programs.items()]
        return {"servers": to_json(self._addresses()), "programs": programs}

    async def _run_program(self, raw: dict[str, Any]) -> None:
        """Starts a program; one of the same name is left alone while it is kept, replaced once it has ended."""
        program = program_from_json(raw)
        keeper = self._programs.get(program.name)
        if keeper is not None and keeper.state != "ended":
            return
        self._programs[program.name] = Keeper(Child(_command(program, self._layout)))

    async def _stop_all(self) -> None:
        """Programs first: they write to the servers until their end. The database last: it is the truth."""
        await asyncio.gather(*(keeper.stop() for keeper in self._programs.values()))
        self._programs.clear()
        await asyncio.gather(*(self._servers[role].stop() for role in self._servers if role is not Role.DATABASE))
        if Role.DATABASE in self._servers:
            await self._servers[Role.DATABASE].stop()
        self._servers.clear()


def _command(program: Program, layout: Layout) -> Command:
    return Command(
        name=program.name,
        argv=program.argv,
        env=program.env,
        cwd=Path(program.cwd),
        log=layout.log(program.name),
        stop=signal.SIGTERM,
        orphaned=signal.SIGKILL,  # its servers go at the same instant: it could not finish anything
        grace_s=program.grace_s,
    )


def _status(name: str, keeper: Keeper) -> ProgramStatus:
    return ProgramStatus(
        name=name,
        state=keeper.state,
        pid=keeper.child.pid if keeper.child.alive else None,
        restarts=keeper.restarts,
        exit_code=keeper.exit_code,
        log=str(keeper.child.command.log),
    )


async def _acquire(layout: Layout) -> TextIO | None:
    """The directory's lock, once the servers of a killed supervisor have let go of it. None: another one lives."""
    deadline = _CLOCK.monotonic() + _LOCK_PATIENCE_S
    while (lock := try_lock(layout.lock)) is None:
        busy = holders(layout.lock)
        if read_json(layout.endpoint).get("pid") in busy:
            return None
        if _CLOCK.monotonic() > deadline:
            # The kernel told them to end when their supervisor died; these did not listen.
            for pid in busy:
                os.kill(pid, signal.SIGKILL)
        await _CLOCK.sleep(0.05)
    return lock


async def _serve(layout: Layout, ready_fd: int) -> None:
    def ready() -> None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)

    lock = await _acquire(layout)
    if lock is None:
        ready()
        return
    supervisor = Supervisor(layout, lock)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.end)
    await supervisor.run(ready)


def main() -> None:
    """Detaches from the command that started it, and serves."""
    if os.fork() != 0:
        os._exit(0)  # the starter reaps this at once; the child belongs to init, whoever lives longer
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(Layout(Path(sys.argv[1])), int(sys.argv[2])))


if __name__ == "__main__":
    main()
