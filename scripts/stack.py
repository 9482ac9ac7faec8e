"""What runs beside the servers, for `sweep up` and for the demo: worker processes and Flower."""

import secrets
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from core.errors import InputError
from core.settings import PREFIXES, RULES, Settings
from scripts import embedded
from scripts.cli import fleet
from scripts.supervisor.files import read_json, write_json
from scripts.supervisor.ports import is_free
from scripts.supervisor.values import Program

_FLOWER = "flower"
_FLOWER_PORTS = range(5555, 5655)
_DRAIN_S = 90.0  # a worker finishes the calls that it has paid for
_STEADY_S = 2.0  # who cannot start dies sooner
_FLOWER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowerAccess:
    """Where Flower is and how to log in; kept in the data directory, so that it stays the same."""

    port: int
    login: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether Flower serves its page."""
        user, _, password = self.login.partition(":")
        try:
            return httpx.get(self.url, auth=(user, password), timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``providers``: one group of workers each. ``flower`` None: no Flower.

    ``prefix`` keeps the programs' names apart from those of `sweep up`; ``owner``: they end with this process.
    """

    providers: Sequence[str]
    processes: int = 1
    slots: int | None = None
    flower: FlowerAccess | None = None
    prefix: str = ""
    owner: int | None = None


def start(directory: Path, urls: Mapping[str, str], wanted: Wanted) -> None:
    """Starts what does not run yet, and returns when it has proved to stay up. Raises InputError."""
    embedded.up(directory, roles=frozenset())
    before = _running(directory)
    if wanted.flower is not None:
        write_json(_flower_file(directory), asdict(wanted.flower))
    names = hand_over(directory, urls, wanted)
    _settle(directory, set(names) - before, wanted.flower)


def hand_over(directory: Path, urls: Mapping[str, str], wanted: Wanted) -> list[str]:
    """Gives workers and Flower to the supervisor without waiting; returns their names."""
    programs = list(_workers(urls, wanted))
    if wanted.flower is not None:
        programs.append(_flower(urls, wanted, wanted.flower))
    embedded.up(directory, programs, roles=frozenset(), owner=wanted.owner)
    return [program.name for program in programs]


def require_steady(directory: Path, names: Iterable[str]) -> None:
    """Raises InputError when one of the programs has died."""
    watched = set(names)
    for program in embedded.programs(directory):
        if program.name in watched and (program.restarts or program.state == "ended"):
            raise InputError(f"{program.name} does not stay up", hint=f"see {program.log}")


def flower_access(directory: Path, forced: int | None) -> FlowerAccess:
    """The login and port of last time where they can be had. Raises InputError when a forced port is taken."""
    stored = read_json(_flower_file(directory))
    if _FLOWER not in _running(directory):
        return free_flower(directory, forced)
    if forced not in {None, int(stored["port"])}:
        raise InputError(f"Flower already runs on port {stored['port']}", hint="stop it first: sweep down")
    return FlowerAccess(port=int(stored["port"]), login=str(stored["login"]))


def free_flower(directory: Path, forced: int | None = None) -> FlowerAccess:
    """A port that nobody has, and the login of last time. Raises InputError."""
    stored = read_json(_flower_file(directory))
    # Each project has a first choice of its own: two that start in the same second must not both find one port free.
    own = _FLOWER_PORTS[zlib.crc32(bytes(directory.resolve())) % len(_FLOWER_PORTS)]
    port = int(stored.get("port", own))
    candidates = [port, *_FLOWER_PORTS] if forced is None else [forced]
    free = next((candidate for candidate in candidates if is_free(candidate)), None)
    if free is None:
        which = "every port" if forced is None else f"port {forced}"
        raise InputError(f"{which} for Flower is in use by another program", hint="choose another --flower-port")
    return FlowerAccess(port=free, login=stored.get("login") or f"sweep:{secrets.token_urlsafe(9)}")


def usable_providers(loaded: Settings) -> list[str]:
    """The providers that are set up, and the rules, which need nothing."""
    return [name for name in PREFIXES if _is_usable(loaded, name)] + [RULES]


def _is_usable(loaded: Settings, name: str) -> bool:
    try:
        loaded.provider(name)
    except InputError:
        return False
    return True


def staffed(directory: Path, providers: Iterable[str]) -> bool:
    """Whether `sweep up` keeps a worker of one of these providers, one that is still starting included."""
    prefixes = tuple(_worker(provider) for provider in providers)
    return any(name.startswith(prefixes) for name in _running(directory))


def _worker(provider: str) -> str:
    return f"worker-{provider}-"


def _running(directory: Path) -> set[str]:
    return {program.name for program in embedded.programs(directory) if program.state != "ended"}


def _flower_file(directory: Path) -> Path:
    return directory / "flower.json"


def _workers(urls: Mapping[str, str], wanted: Wanted) -> Iterator[Program]:
    for provider in wanted.providers:
        for number in range(1, wanted.processes + 1):
            yield Program(
                name=f"{wanted.prefix}{_worker(provider)}{number}",
                argv=tuple(fleet.command([provider], wanted.slots)),
                env=urls,
                grace_s=_DRAIN_S,
                owner=wanted.owner,
            )


def _flower(urls: Mapping[str, str], wanted: Wanted, access: FlowerAccess) -> Program:
    """Flower on loopback, behind a login and without its buttons: stopping things is what `sweep` is for."""
    options = ("--address=127.0.0.1", f"--port={access.port}", "--read_only=true", "--max_tasks=10000")
    return Program(
        name=f"{wanted.prefix}{_FLOWER}",
        argv=(sys.executable, "-m", "celery", "--app=tasks.app", "flower", *options),
        env={**urls, "FLOWER_BASIC_AUTH": access.login},
        grace_s=5,
        owner=wanted.owner,
    )


def _settle(directory: Path, names: set[str], access: FlowerAccess | None) -> None:
    began, pause = time.monotonic(), threading.Event()
    while (names and time.monotonic() - began < _STEADY_S) or (access is not None and not access.answers()):
        require_steady(directory, names)
        if time.monotonic() - began > _FLOWER_S:
            raise InputError("Flower does not answer", hint=f"see {directory / 'log' / 'flower.log'}")
        pause.wait(0.1)
