"""Real servers for the tests: one set a run, shared by all xdist workers, and a world of its own for each test.

Their supervisor is owned by pytest's main process, so that nothing is left when a run is killed.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg2
import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from db.probe import prepare_database
from db.schema import migrate
from scripts import embedded

_PREFIX = "sweep-test-"
_TEMPLATE = "template_migrated"
_LOGICAL_DATABASES = 1024
_SHARED = {
    "cluster": r"tests/faults/",
    "commands": r"tests/acceptance/test_cli\.py",
    "arenas": r"tests/integration/test_(docstring|gap|routing)_sweep\.py",
    "image": r"tests/integration/test_(container|wheel)\.py",
    "surroundings": r"tests/acceptance/test_(bad_\w+|cli_simulate|embedding|local_provider|worker)\.py",
}
"""Files whose tests have one world between them: on each further worker its processes would be started again."""
_RUN = pytest.StashKey[tuple[int, Path]]()


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says more about the machine than about the code. Everybody's examples are the same
    # ones; new ones are looked for by `make explore`.
    untimed = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.register_profile("same", untimed, derandomize=True)
    hypothesis.settings.register_profile("explore", untimed, derandomize=False, max_examples=700, print_blob=True)
    hypothesis.settings.load_profile(config.getoption("hypothesis_profile") or "same")
    told = getattr(config, "workerinput", None)
    if told is not None:
        config.stash[_RUN] = (told["main_pid"], Path(told["servers"]))
        return
    _remove_leftovers()
    config.stash[_RUN] = (os.getpid(), Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    main_pid, directory = node.config.stash[_RUN]
    node.workerinput.update(main_pid=main_pid, servers=str(directory))


class _Worlds(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Whoever is free takes the next test; those that share a world of processes stay together, and come first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((world for world, files in _SHARED.items() if re.search(files, file)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return _Worlds(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    _, directory = config.stash[_RUN]
    embedded.down(directory)
    shutil.rmtree(directory)


def _remove_leftovers() -> None:
    """Directories of runs that were killed: their servers went with them, their files could not."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # a run beside this one cleans up as well
            if folder.stat().st_uid == os.geteuid() and not Path("/proc", pid).exists():
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> embedded.Servers:
    """The run's servers. Tests that stop or flush servers take `own_servers`."""
    main_pid, directory = request.config.stash[_RUN]
    return embedded.up(directory, owner=main_pid)


@pytest.fixture(scope="session")
def _template(servers: embedded.Servers, request: pytest.FixtureRequest) -> str:
    """The name of a migrated database that nobody uses; each test gets a copy of it."""
    _, directory = request.config.stash[_RUN]
    with (directory / "template").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)
        if os.fstat(done.fileno()).st_size == 0:
            url = _sibling(servers.database_url, _TEMPLATE)
            prepare_database(url)
            migrate(url)
            # These servers are thrown away; and dropping a database waits for a checkpoint.
            _execute(servers.database_url, "ALTER SYSTEM SET fsync = off")
            _execute(servers.database_url, "SELECT pg_reload_conf()")
            # Not even autovacuum may connect: a copy is refused while anybody is.
            _execute(servers.database_url, f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS false")
            done.write("migrated")
    return _TEMPLATE


@pytest.fixture
def database_url(servers: embedded.Servers, _template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {_template}")
    yield _sibling(servers.database_url, name)
    _execute(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


def _sibling(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


def _execute(url: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


@pytest.fixture
def redis_url(servers: embedded.Servers) -> Iterator[str]:
    """An empty logical database of the broker server."""
    yield from _logical_database(servers.redis_url)


@pytest.fixture
def cache_url(servers: embedded.Servers) -> Iterator[str]:
    """An empty logical database of the cache server."""
    yield from _logical_database(servers.cache_url)


def _logical_database(url: str) -> Iterator[str]:
    """Numbers 1 to 1023 in turn; number 0 counts."""
    with redis.Redis.from_url(url) as counter:
        number = 1 + int(counter.incr("handed-out")) % (_LOGICAL_DATABASES - 1)
    own = _sibling(url, str(number))
    with redis.Redis.from_url(own) as client:
        client.flushdb()
        yield own
        client.flushdb()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Waits for a condition, however slow the machine is today; fails when it never comes true."""

    def wait(condition: Callable[[], object], *, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            threading.Event().wait(0.02)

    return wait


@pytest.fixture
def servers_environment(database_url: str, redis_url: str, cache_url: str) -> dict[str, str]:
    """What a process that the test starts needs to find the test's own world."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "CACHE_URL": cache_url}


@pytest.fixture
def own_servers(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[embedded.Servers]:
    """A set of servers that the test may stop, kill and flush; they live in `tmp_path / ".sweep"`."""
    main_pid, _ = request.config.stash[_RUN]
    directory = tmp_path / ".sweep"
    yield embedded.up(directory, owner=main_pid)
    embedded.down(directory)
