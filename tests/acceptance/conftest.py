"""A project of its own for the command line: servers, workers and a simulated provider, as a user would have them."""

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from core.settings import PREFIXES, forget
from scripts import embedded, stack
from scripts.cli.main import run as command
from scripts.simulator.testing import running
from tests.commands import BIN, MODELS, Refused, Told, World, one_message


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Servers, a worker for each of two providers, and the simulator behind both. All of it ends with the tests."""
    folder = tmp_path_factory.mktemp("project")
    directory = folder / ".sweep"
    with running(process=True, models=MODELS) as simulator:
        providers = {
            "OPENAI_BASE_URL": simulator.base_url,
            "HYPERBOLIC_BASE_URL": simulator.base_url,
            "OPENAI_RETRY_MIN_WAIT": "0.05",
        }
        env = {"PATH": f"{BIN}:{os.defpath}", "HOME": str(folder), "SWEEP_DIR": str(directory), **providers}
        try:
            servers = embedded.up(directory, owner=os.getpid())
            urls = {
                "DATABASE_URL": servers.database_url,
                "REDIS_URL": servers.redis_url,
                "CACHE_URL": servers.cache_url,
            }
            world = World(folder=folder, env=env, simulator=simulator)
            world.sweep("ls")  # the first command makes the tables that workers look for
            stack.hand_over(
                directory,
                {**urls, **env},
                stack.Wanted(providers=["openai", "hyperbolic"], slots=4, owner=os.getpid()),
            )
            yield world
        finally:
            embedded.down(directory)


@pytest.fixture
def taken_port(eventually: Callable[..., None]) -> Iterator[str]:
    """The last port there is, in use: no other comes after it. Tests beside this one wait until it is free."""
    with socket.socket() as listener:

        def taken() -> bool:
            try:
                listener.bind(("127.0.0.1", 65_535))
            except OSError:
                return False
            return True

        eventually(taken, within=120)
        listener.listen()
        yield "65535"


@pytest.fixture
def refused(world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Refused]:
    """What a command says that ends with 2, having printed no data. Run inside this process: there are many of them."""

    def run(*words: str, **env: str) -> str:
        for name, value in {**world.env, **env}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(world.folder)
        forget()
        capfd.readouterr()
        code = command(list(words))
        out, err = capfd.readouterr()
        return one_message(Told(code=code, out=out, err=err))

    for provider in PREFIXES.values():
        monkeypatch.delenv(f"{provider}API_KEY", raising=False)
    yield run
    forget()
