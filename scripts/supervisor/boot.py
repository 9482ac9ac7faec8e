"""From nothing to a server that answers: ports, retries, and what a failure means."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

from core.clock import SystemClock
from scripts.supervisor.files import Layout, full, last_line, read_json, write_json
from scripts.supervisor.ports import is_free
from scripts.supervisor.postgres import Postgres
from scripts.supervisor.process import Child, Command
from scripts.supervisor.valkey import Valkey
from scripts.supervisor.values import Role, StartFailed

_PORTS = range(20_000, 32_000)  # below the range that Linux lends to outgoing connections
_ATTEMPTS = 6
_HEALTHY_WITHIN_S = 120.0  # PostgreSQL may have gigabytes of WAL to replay after a crash
_CLOCK = SystemClock()


class Server(Protocol):
    """One server: how to run it, and how to tell that it runs."""

    @property
    def role(self) -> Role: ...

    def url(self, port: int) -> str: ...

    async def prepare(self) -> None: ...

    def command(self, port: int, keep: int) -> Command: ...

    async def answers(self, child: Child, port: int) -> bool: ...

    async def complete(self, port: int) -> None: ...


@dataclass(slots=True)
class Identity:
    """What stays the same from start to start, so that addresses stay good: password and ports."""

    layout: Layout
    password: str
    ports: dict[Role, int]

    def save(self) -> None:
        """Writes it, readable by its owner only."""
        write_json(self.layout.identity, {"password": self.password, "ports": self.ports})


def load_identity(layout: Layout) -> Identity:
    """The directory's identity; a new one when it has none, or when a full disk cut it."""
    stored = read_json(layout.identity)
    ports = {Role(role): int(port) for role, port in stored.get("ports", {}).items()}
    return Identity(layout, stored.get("password") or secrets.token_hex(24), ports)


def server(role: Role, identity: Identity) -> Server:
    """The server for a role."""
    if role is Role.DATABASE:
        return Postgres(layout=identity.layout, password=identity.password)
    return Valkey(role=role, layout=identity.layout, password=identity.password)


async def boot(role: Role, identity: Identity, wanted: Mapping[Role, int], lock: TextIO) -> Child:
    """Starts one server and returns when it answers. ``wanted``: ports that must be taken as they are."""
    one = server(role, identity)
    await one.prepare()
    output = ""
    for attempt in range(_ATTEMPTS):
        port = _choose_port(role, identity, wanted)
        child = Child(one.command(port, lock.fileno()))
        try:
            if await _answers_in_time(one, child, port):
                await one.complete(port)
                return child
        except BaseException:
            await child.stop()
            raise
        await child.stop()
        output = child.output()
        _judge(role, identity.layout, output)
        if "in use" in output and role not in wanted:
            identity.ports.pop(role)
        await _CLOCK.sleep(0.1 * 2**attempt)
    raise _failed(role, identity.layout, output)


async def _answers_in_time(one: Server, child: Child, port: int) -> bool:
    deadline = _CLOCK.monotonic() + _HEALTHY_WITHIN_S
    while child.alive and _CLOCK.monotonic() < deadline:
        if await one.answers(child, port) and child.alive:
            return True
        await _CLOCK.sleep(0.01)
    return False


def _choose_port(role: Role, identity: Identity, wanted: Mapping[Role, int]) -> int:
    """The wanted port, else the one it had, else a free one."""
    port = wanted.get(role) or identity.ports.get(role) or 0
    if role in wanted and not is_free(port):
        raise StartFailed(
            f"port {port} for the {role} server is in use by another program",
            hint="stop that program or choose another port",
        )
    others = {number for other, number in identity.ports.items() if other is not role}
    while port == 0 or port in others or not is_free(port):
        port = secrets.choice(_PORTS)
    identity.ports[role] = port
    return port


def _judge(role: Role, layout: Layout, output: str) -> None:
    """Raises unless another attempt may bring more."""
    if "No space left" in output:
        raise full(layout)
    passing = ("in use", "postmaster.pid")  # the port; the shared memory or the pid file of a server that just died
    if not any(word in output for word in passing):
        raise _failed(role, layout, output)


def _failed(role: Role, layout: Layout, output: str) -> StartFailed:
    return StartFailed(
        f"the embedded {role} server does not start: {last_line(output)}", hint=f"see {layout.log(role)}"
    )
