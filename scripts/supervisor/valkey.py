"""Broker and cache: two Valkey (or Redis) servers with opposite duties."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

from scripts.supervisor.binaries import valkey_server
from scripts.supervisor.files import Layout, write_private
from scripts.supervisor.process import Child, Command
from scripts.supervisor.values import Role

_COMMON = """\
bind 127.0.0.1
port {port}
requirepass {password}
databases 1024
tcp-keepalive 60
save ""
"""
_DUTIES = {
    # The broker holds messages, quota and intents: it may refuse a write, but never forget one.
    Role.BROKER: "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n",
    Role.CACHE: "appendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lfu\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """One of the two."""

    role: Role
    layout: Layout
    password: str

    @property
    def folder(self) -> Path:
        return self.layout.root / self.role

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

    async def prepare(self) -> None:
        """Makes the server's folder."""
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def command(self, port: int, keep: int) -> Command:
        """Writes the configuration (the password must not be seen in a process list) and tells how to run it."""
        write_private(
            self.folder / "server.conf", _COMMON.format(port=port, password=self.password) + _DUTIES[self.role]
        )
        return Command(
            name=self.role,
            argv=(str(valkey_server()), "server.conf"),
            env={"LC_ALL": "C"},
            cwd=self.folder,
            log=self.layout.log(self.role),
            stop=signal.SIGTERM,
            orphaned=signal.SIGTERM,
            grace_s=20,
            forever=True,
            keep=keep,
        )

    async def answers(self, child: Child, port: int) -> bool:
        """Whether it takes commands; it does not while it loads its append-only file."""
        del child
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {self.password}\r\nPING\r\n".encode())
            return await asyncio.wait_for(reader.readline(), 5) == b"+OK\r\n" and (
                await asyncio.wait_for(reader.readline(), 5) == b"+PONG\r\n"
            )
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def complete(self, port: int) -> None:
        """Nothing is left to do once it answers."""
