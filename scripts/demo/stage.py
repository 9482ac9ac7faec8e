"""The demo's processes: embedded servers, simulators, workers and Flower, all ended with the demo."""

import fcntl
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from core.errors import InputError
from core.settings import Settings, adopt, settings
from db.exhibit import create_database
from db.schema import migrate
from scripts import embedded, stack
from scripts.supervisor.values import Program
from workers.roster import served

SIMULATED = {"openai": "OPENAI_", "hyperbolic": "HYPERBOLIC_"}
"""The two providers that the simulator plays, and the prefixes of their settings."""

_PREFIX = "demo-"
_DATABASE = "llmsweep_demo"
_LOGICAL = 9  # of broker and cache, where the demo keeps to itself
_RPM, _LATENCY = 6000, "lognormal:0.12,0.4"
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs. ``simulators``: provider -> base URL; empty when a real provider is used."""

    settings: Settings
    directory: Path
    flower: stack.FlowerAccess
    programs: tuple[str, ...]
    simulators: Mapping[str, str]

    def calls(self) -> int:
        """How many requests the simulators have been asked for, by their own count."""
        return sum(
            httpx.get(f"{url.removesuffix('/v1')}/stats", params={"brief": 1}, timeout=5, trust_env=False).json()[
                "requests"
            ]
            for url in self.simulators.values()
        )

    def check(self) -> None:
        """Raises InputError when one of the demo's programs has died."""
        stack.require_steady(self.directory, self.programs)


@contextmanager
def staged(provider: str | None) -> Iterator[Stage]:
    """Everything up; at the end everything that was not up before is down again."""
    directory = embedded.data_dir()
    was_up = embedded.running(directory) is not None
    in_company = was_up or bool(settings().redis_url)  # a broker of our own making has no workers yet
    try:
        urls = embedded.bring_up(settings(), owner=os.getpid())
        embedded.up(directory, roles=frozenset(), owner=os.getpid())  # all three may be elsewhere: programs need it too
        with _alone(directory):
            try:
                yield _start(directory, urls, provider, in_company=in_company)
            finally:
                if was_up:
                    _stop_programs(directory)
    finally:
        if not was_up:
            embedded.leave(directory, os.getpid())


def _stop_programs(directory: Path) -> None:
    for program in embedded.programs(directory):
        if program.name.startswith(_PREFIX):
            embedded.stop(directory, program.name)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "demo.lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise InputError("another demo runs in this project", hint="wait for it, or set SWEEP_DIR") from exc
        yield


def _start(directory: Path, urls: dict[str, str], provider: str | None, *, in_company: bool) -> Stage:
    simulators = {} if provider else _simulators(directory)
    if simulators and in_company and (stack.staffed(directory, simulators) or served(urls["REDIS_URL"], simulators)):
        # Workers of a real provider must not ask it, and be billed, in the demo's name.
        urls = _aside(urls)
    adopt({**urls, **_simulated(simulators)})
    migrate(settings().database_url)
    access = stack.free_flower(directory)
    wanted = stack.Wanted(
        providers=[provider] if provider else list(SIMULATED),
        processes=2 if provider else 1,
        flower=access,
        prefix=_PREFIX,
        owner=os.getpid(),
    )
    names = stack.hand_over(directory, urls, wanted)
    return Stage(settings=settings(), directory=directory, flower=access, programs=tuple(names), simulators=simulators)


def _aside(urls: Mapping[str, str]) -> dict[str, str]:
    """A database and logical databases of the demo's own, on the same servers."""
    places = {name: urlsplit(urls[name])._replace(path=f"/{_LOGICAL}").geturl() for name in ("REDIS_URL", "CACHE_URL")}
    return {"DATABASE_URL": create_database(urls["DATABASE_URL"], _DATABASE), **places}


def _simulators(directory: Path) -> dict[str, str]:
    files = {provider: directory / f"{_PREFIX}{provider}.port" for provider in SIMULATED}
    for number, (provider, file) in enumerate(files.items()):
        file.unlink(missing_ok=True)
        options = (f"--port-file={file}", f"--rpm={_RPM}", f"--latency={_LATENCY}", f"--seed={number}")
        embedded.start(
            directory,
            Program(
                name=f"{_PREFIX}simulator-{provider}",
                argv=(sys.executable, "-m", "scripts.simulator", "--port=0", *options),
                grace_s=2,
                owner=os.getpid(),
            ),
        )
    return {provider: f"http://127.0.0.1:{_port(directory, provider, path)}/v1" for provider, path in files.items()}


def _simulated(simulators: Mapping[str, str]) -> dict[str, str]:
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


def _port(directory: Path, provider: str, path: Path) -> int:
    pause = threading.Event()
    for _ in range(round(_PATIENCE_S / 0.05)):
        text = path.read_text().strip() if path.exists() else ""
        if text:
            return int(text)
        stack.require_steady(directory, [f"{_PREFIX}simulator-{provider}"])
        pause.wait(0.05)
    raise InputError("the simulator does not start", hint=f"see {directory / 'log'}")
