"""What the supervisor does for commands: starts servers and programs, keeps them running, stops them in order.

It listens on loopback, one JSON line a request, and answers only those who know the token.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TextIO

from scripts.supervisor.boot import boot, load_identity, server
from scripts.supervisor.files import Layout, unusable, write_json
from scripts.supervisor.lifelines import when_gone
from scripts.supervisor.process import Child, Command, Keeper
from scripts.supervisor.values import Program, ProgramStatus, Role, Servers, StartFailed, program_from_json, to_json

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
        self._owners: set[int] = set()
        self._for_good = False
        self._stops: set[asyncio.Task[None]] = set()
        self._operations: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "up": self._up,
            "leave": self._leave,
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
        except Exception as exc:  # noqa: BLE001 - the edge of a request: the command must hear of it, the servers live on
            _LOG.exception("request failed")
            failure = StartFailed(
                f"this is a defect of the supervisor: {type(exc).__name__}: {exc}",
                hint=f"please report {self._layout.log('supervisor')}",
            )
        if not self._servers and not self._programs:
            self.end()  # nothing ever ran: do not stay behind
        return {"error": failure.message, "hint": failure.hint}

    async def _up(self, request: dict[str, Any]) -> dict[str, Any]:
        """Starts the servers that are asked for and do not run yet, then the programs."""
        self._own(request["owner"])
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
            self._run_program(program_from_json(raw))
        return {"servers": to_json(self._addresses())}

    def _own(self, pid: int | None) -> None:
        """Lives at least as long as this process; None: until `down`."""
        if pid is None:
            self._for_good = True
        elif pid not in self._owners:
            self._owners.add(pid)
            when_gone(pid, lambda: self._disown(pid))

    def _disown(self, pid: int) -> None:
        self._owners.discard(pid)
        if not self._owners and not self._for_good:
            self.end()

    async def _leave(self, request: dict[str, Any]) -> dict[str, Any]:
        self._disown(request["owner"])
        return {"ending": self._over.is_set(), "ok": True}

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
        return {"ok": True}

    async def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        self._run_program(program_from_json(request["program"]))
        return {"ok": True}

    async def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        keeper = self._programs.pop(request["name"], None)
        if keeper is not None:
            await keeper.stop()
        return {"found": keeper is not None}

    def _show(self) -> dict[str, Any]:
        programs = [to_json(_status(name, keeper)) for name, keeper in self._programs.items()]
        return {"servers": to_json(self._addresses()), "programs": programs}

    def _run_program(self, program: Program) -> None:
        """Starts a program; one of the same name is left alone while it is kept, replaced once it has ended."""
        keeper = self._programs.get(program.name)
        if keeper is not None and keeper.state != "ended":
            return
        keeper = Keeper(Child(_command(program, self._layout)))
        self._programs[program.name] = keeper
        if program.owner is not None:
            when_gone(program.owner, lambda: self._stop_later(program.name, keeper))

    def _stop_later(self, name: str, keeper: Keeper) -> None:
        if self._programs.get(name) is keeper:
            del self._programs[name]
            task = asyncio.create_task(keeper.stop())
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)

    async def _stop_all(self) -> None:
        """Programs first: they write to the servers until their end. The database last: it is the truth."""
        await asyncio.gather(*self._stops, *(keeper.stop() for keeper in self._programs.values()))
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
