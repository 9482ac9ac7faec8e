"""The demo's processes: embedded servers, simulators, workers and Flower, all ended with the demo."""

import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.errors import InputError
from core.settings import Settings, adopt, settings
from db.schema import migrate
from scripts import embedded
from scripts.cli import fleet
from scripts.supervisor.values import Program

SIMULATED = {"openai": "OPENAI_", "hyperbolic": "HYPERBOLIC_"}
"""The two providers that the simulator plays, and the prefixes of their settings."""

_RPM, _LATENCY = 6000, "lognormal:0.12,0.4"
_PATIENCE_S = 30.0


@dataclass(slots=True, kw_only=True)
class Stage:
    """What runs. ``simulators``: provider -> base URL; empty when a real provider is used."""

    settings: Settings
    directory: Path
    flower_url: str
    flower_login: str
    simulators: dict[str, str] = field(default_factory=dict)

    def calls(self) -> int:
        """How many requests the simulators have been asked for, by their own count."""
        return sum(
            httpx.get(f"{url.removesuffix('/v1')}/stats", params={"brief": 1}, timeout=5).json()["requests"]
            for url in self.simulators.values()
        )

    def flower_is_up(self) -> bool:
        """Whether Flower answers."""
        user, _, password = self.flower_login.partition(":")
        try:
            return httpx.get(self.flower_url, auth=(user, password), timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def check(directory: Path) -> None:
    """Raises InputError when one of the demo's programs keeps dying."""
    for program in embedded.programs(directory):
        if program.name.startswith("demo-") and program.restarts > 1:
            raise InputError(f"{program.name} does not stay up", hint=f"see {program.log}")


@contextmanager
def staged(provider: str | None) -> Iterator[Stage]:
    """Everything up; at the end everything that was not up before is down again."""
    directory = embedded.data_dir()
    was_up = embedded.running(directory) is not None
    names: list[str] = []
    try:
        urls = embedded.bring_up(settings(), owner=None if was_up else os.getpid())
        simulators = {} if provider else _simulators(directory, names)
        adopt({**urls, **_simulated(simulators)})
        migrate(settings().database_url)
        stage = _start(directory, names, [provider, provider] if provider else list(SIMULATED))
        stage.simulators = simulators
        yield stage
    finally:
        for name in reversed(names):
            embedded.stop(directory, name)
        if not was_up:
            embedded.down(directory)


def _start(directory: Path, names: list[str], providers: Sequence[str]) -> Stage:
    port = _free_port()
    login = f"demo:{secrets.token_urlsafe(9)}"
    workers = [
        Program(
            name=f"demo-worker-{number}",
            argv=tuple(fleet.command([provider], None)),
            env=fleet.environment(settings()),
            grace_s=90,
        )
        for number, provider in enumerate(providers, start=1)
    ]
    flower = Program(
        name="demo-flower",
        argv=(
            sys.executable,
            "-m",
            "celery",
            "--app=tasks.app",
            "flower",
            "--address=127.0.0.1",
            f"--port={port}",
            "--read_only=true",
            "--max_tasks=10000",
        ),
        env={**fleet.environment(settings()), "FLOWER_BASIC_AUTH": login},
        grace_s=5,
    )
    for program in (*workers, flower):
        names.append(program.name)
        embedded.start(directory, program)
    return Stage(settings=settings(), directory=directory, flower_url=f"http://127.0.0.1:{port}", flower_login=login)


def _simulators(directory: Path, names: list[str]) -> dict[str, str]:
    files = {}
    for number, provider in enumerate(SIMULATED):
        files[provider] = directory / f"demo-{provider}.port"
        files[provider].unlink(missing_ok=True)
        names.append(f"demo-simulator-{provider}")
        embedded.start(
            directory,
            Program(
                name=names[-1],
                argv=(
                    sys.executable,
                    "-m",
                    "scripts.simulator",
                    "--port=0",
                    f"--port-file={files[provider]}",
                    f"--rpm={_RPM}",
                    f"--latency={_LATENCY}",
                    f"--seed={number}",
                ),
                grace_s=2,
            ),
        )
    return {provider: f"http://127.0.0.1:{_port(directory, path)}/v1" for provider, path in files.items()}


def _simulated(simulators: dict[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for provider, url in simulators.items():
        prefix = SIMULATED[provider]
        environment |= {
            f"{prefix}BASE_URL": url,
            f"{prefix}API_KEY": "simulated",
            f"{prefix}RATE_LIMIT_RPM": str(_RPM),
            f"{prefix}ENABLED": "true",
        }
    return environment


def _port(directory: Path, path: Path) -> int:
    pause = threading.Event()
    for _ in range(round(_PATIENCE_S / 0.05)):
        text = path.read_text().strip() if path.exists() else ""
        if text:
            return int(text)
        check(directory)
        pause.wait(0.05)
    raise InputError("the simulator does not start", hint=f"see {directory / 'log'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
