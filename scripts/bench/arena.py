"""A whole cluster on this machine, for measuring and for breaking: servers, simulator, worker processes, sweeps."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from core.model import SweepState
from core.settings import child_environment
from core.sweep import SweepSpec, Target
from db.engine import connect
from db.progress import SweepStatus, status
from db.schema import migrate
from scripts import embedded
from scripts.cli import fleet
from tasks import producer

_START_S = 60.0
_MIGRATING = threading.Lock()  # Alembic keeps what it works on in a module

MODEL = "gpt-4o-mini"
"""What the sweeps ask for; its price is known."""


class Stalled(Exception):
    """A condition did not come true in time."""


def wait_for(what: str, condition: Callable[[], Any], *, timeout_s: float, every_s: float = 0.05) -> Any:
    """Returns the condition's first true value. Raises Stalled."""
    pause, until = threading.Event(), time.monotonic() + timeout_s
    while time.monotonic() < until:
        if found := condition():
            return found
        pause.wait(every_s)
    raise Stalled(f"{what} did not happen within {timeout_s:.0f} s")


@dataclass(slots=True, kw_only=True)
class Simulator:
    """A simulator process and what it has counted."""

    process: "subprocess.Popen[bytes]"
    url: str

    def stats(self, *, brief: bool = True) -> dict[str, Any]:
        """Its counts: the judge of every proof."""
        found: dict[str, Any] = httpx.get(f"{self.url}/stats", params={"brief": 1} if brief else {}, timeout=60).json()
        return found

    def tell(self, path: str, content: Mapping[str, Any] | None = None) -> None:
        """``/limits``, ``/faults`` or ``/reset``."""
        httpx.post(f"{self.url}/{path}", json=dict(content or {}), timeout=10).raise_for_status()


@dataclass(slots=True, kw_only=True)
class Arena:
    """``environment`` is what workers get: addresses, provider settings, lease time."""

    directory: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    simulators: list[Simulator] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        """Where the ledger is."""
        return self.environment["DATABASE_URL"]

    def simulator(self, provider: str = "openai", **options: object) -> Simulator:
        """Starts a simulator as ``provider``; the workers started after it use it."""
        port_file = self.directory / f"simulator-{len(self.simulators)}.port"
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "fail"]
        faults = options.get("fail", ())
        arguments += [f"--fail={fault}" for fault in (faults if isinstance(faults, (list, tuple)) else (faults,))]
        process = subprocess.Popen(  # noqa: S603 - our own command
            [
                sys.executable,
                "-m",
                "scripts.simulator",
                "--port=0",
                f"--port-file={port_file}",
                "--with-parent",
                *arguments,
            ],
            env=child_environment(self.environment),
            stdout=subprocess.DEVNULL,
        )
        text = wait_for(
            "the simulator's start", lambda: port_file.exists() and port_file.read_text(), timeout_s=_START_S
        )
        found = Simulator(process=process, url=f"http://127.0.0.1:{text.strip()}")
        self.simulators.append(found)
        prefix = provider.upper()
        self.environment = self.environment | {
            f"{prefix}_BASE_URL": f"{found.url}/v1",
            f"{prefix}_API_KEY": "simulated",
            f"{prefix}_MODEL": MODEL,
        }
        return found

    def worker(
        self, provider: str = "openai", *, slots: int = 8, module: str = fleet.MODULE, **settings: str
    ) -> "subprocess.Popen[bytes]":
        """Starts one worker process; ``settings`` are its own."""
        log = self.log_of(len(self.workers)).open("wb")
        process = subprocess.Popen(  # noqa: S603 - our own command
            fleet.command([provider], slots, module=module),
            cwd=self.directory,  # nobody's .env
            env=child_environment({**self.environment, **settings}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.workers.append(process)
        return process

    def log_of(self, number: int) -> Path:
        """What the so-manieth worker has logged."""
        return self.directory / f"worker-{number}.log"

    def living(self) -> list["subprocess.Popen[bytes]"]:
        """The workers that have not ended."""
        return [worker for worker in self.workers if worker.poll() is None]

    def submit(self, name: str, prompts: int, *, provider: str = "openai", **fields: Any) -> str:
        """A sweep of so many different short prompts; returns its name."""
        source = self.directory / f"{name}.jsonl"
        with source.open("w") as file:
            file.writelines(
                json.dumps({"id": f"{i:07}", "prompt": f"{name}: question {i}?"}) + "\n" for i in range(prompts)
            )
        spec = {
            "name": name,
            "kind": "prompt",
            "source": {"path": str(source)},
            "targets": (Target(provider=provider, model=MODEL),),
            "chunk_size": 16,
            "on_open": "wait",
        }
        return producer.submit(self.database_url, SweepSpec.model_validate({**spec, **fields})).name

    def status(self, name: str) -> SweepStatus:
        """Where a sweep stands."""
        engine = connect(self.database_url, role="reader", pool=1)
        try:
            return status(engine, name)
        finally:
            engine.dispose()

    def answered(self, name: str, *, timeout_s: float, every_s: float = 0.05) -> SweepStatus:
        """Waits for a sweep's last row, looking each ``every_s``; the feeder has yet to close it. Raises Stalled."""

        def last() -> SweepStatus | None:
            found = self.status(name)
            return None if found.pending else found

        status: SweepStatus = wait_for(f"the last row of {name}", last, timeout_s=timeout_s, every_s=every_s)
        return status

    def ended(self, name: str, *, timeout_s: float) -> SweepStatus:
        """Waits until a sweep runs no longer: done, paused, cancelled or out of budget. Raises Stalled."""

        def over() -> SweepStatus | None:
            found = self.status(name)
            return None if found.state is SweepState.RUNNING else found

        status: SweepStatus = wait_for(f"the end of {name}", over, timeout_s=timeout_s, every_s=0.2)
        return status

    def kill_workers(self) -> None:
        """SIGKILL for all that live."""
        for worker in self.living():
            worker.kill()
            worker.wait()

    def stop_workers(self, *, timeout_s: float = 60) -> None:
        """SIGTERM, and wait: they finish what is in flight."""
        for worker in self.living():
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            worker.wait(timeout_s)

    def close(self) -> None:
        """Ends what was started here, at once."""
        self.kill_workers()
        for simulator in self.simulators:
            simulator.process.kill()
            simulator.process.wait()


Disks: TypeAlias = Callable[[Path], AbstractContextManager[None]]


def one_disk(_: Path) -> AbstractContextManager[None]:
    """The arena's directory as it is."""
    return nullcontext()


@contextmanager
def arena(disks: Disks = one_disk, /, **settings: str) -> Iterator[Arena]:
    """Servers of its own in a directory of its own; nothing is left behind. ``disks`` prepares the directory."""
    directory = Path(tempfile.mkdtemp(prefix="sweep-arena-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.enter_context(disks(directory))
        yield stack.enter_context(_arena(directory, settings))


@contextmanager
def _arena(directory: Path, settings: Mapping[str, str]) -> Iterator[Arena]:
    try:
        servers = embedded.up(directory / "servers", owner=os.getpid())
        with _MIGRATING:
            migrate(servers.database_url)
        environment = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "CACHE_URL": servers.cache_url,
            "OPENAI_RETRY_MIN_WAIT": "0.2",
            "OPENAI_RETRY_MAX_WAIT": "2",
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        made = Arena(directory=directory, environment=environment)
        try:
            yield made
        finally:
            made.close()
    finally:
        embedded.down(directory / "servers")
