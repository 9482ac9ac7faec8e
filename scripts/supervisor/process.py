"""One child process, bound to the supervisor's life, and its restarts."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clock import SystemClock
from scripts.supervisor.files import open_log, tail

_SHIM = Path(__file__).with_name("shim.py")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 15.0
_STEADY_S = 30.0
_CLOCK = SystemClock()
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and how it ends.

    ``stop``: the polite signal, SIGKILL follows after ``grace_s``. ``orphaned``: what the kernel sends when the
    supervisor is gone. ``owned``: the directory that the process must own when root may not run it.
    ``forever``: status 0 is no reason to stay away. ``keep``: a descriptor that the process inherits.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    stop: signal.Signals
    orphaned: signal.Signals
    grace_s: float
    owned: Path | None = None
    forever: bool = False
    keep: int | None = None


class Child:
    """One run of a command."""

    def __init__(self, command: Command) -> None:
        """Starts it; call from the main thread only, whose death is what the kernel watches."""
        self.command = command
        log = open_log(command.log)
        self._log_start = os.fstat(log).st_size
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the argv is ours or the user's own
                [sys.executable, "-I", "-S", str(_SHIM), *self._binding(), "--", *command.argv],
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=() if command.keep is None else (command.keep,),
            )
        finally:
            os.close(log)
        self.pid = self._process.pid
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._watch, self._reap)

    def _binding(self) -> tuple[str, ...]:
        return str(os.getpid()), str(int(self.command.orphaned)), str(self.command.owned or "-")

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watch)
        os.close(self._watch)
        # What it leaves behind in its group. Before wait(): until then nobody else can get its id.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._ended.set_result(self._process.wait())

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    def output(self) -> str:
        """The end of what this run has logged."""
        return tail(self.command.log, self._log_start)

    async def ended(self) -> int:
        """Waits for its end; the exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Asks it to end, and insists after the grace."""
        if not self.alive:
            return
        os.kill(self.pid, self.command.stop)
        try:
            await asyncio.wait_for(self.ended(), self.command.grace_s)
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            await self.ended()


class Keeper:
    """Keeps a command running until told otherwise: a run that ends is followed by another, ever later."""

    def __init__(self, first: Child) -> None:
        self.child = first
        self.restarts = 0
        self.exit_code: int | None = None
        self._task = asyncio.create_task(self._keep(), name=first.command.name)

    @property
    def state(self) -> str:
        """``running``, ``restarting`` or ``ended``."""
        if self._task.done():
            return "ended"
        return "running" if self.child.alive else "restarting"

    async def stop(self) -> None:
        """Stops the command for good."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.child.stop()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            started = _CLOCK.monotonic()
            self.exit_code = await self.child.ended()
            if self.exit_code == 0 and not self.child.command.forever:
                return
            if _CLOCK.monotonic() - started > _STEADY_S:
                pause = _FIRST_PAUSE_S
            await _CLOCK.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            self.restarts += 1
            try:
                self.child = Child(self.child.command)
            except OSError as exc:  # a full disk, a removed folder: as passing as the end of the process itself
                _LOG.warning("not restarted", extra={"program": self.child.command.name, "reason": str(exc)})
