"""The servers themselves, and what is said when they cannot be had."""

import errno
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import redis

from core.errors import InputError
from core.settings import Settings, forget
from scripts import embedded
from scripts.embedded import Role, Servers
from scripts.external import ask_valkey, require_valkey
from scripts.supervisor.files import Layout, unusable


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SWEEP_DIR", "DATABASE_URL", "REDIS_URL", "CACHE_URL"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def test_the_broker_never_evicts_and_survives_a_restart(servers: Servers) -> None:
    facts = ask_valkey("REDIS_URL", servers.redis_url)
    assert (facts.policy, facts.appendonly, facts.maxmemory) == ("noeviction", "1", 0)


def test_the_cache_is_bounded_and_keeps_nothing(servers: Servers) -> None:
    facts = ask_valkey("CACHE_URL", servers.cache_url)
    assert (facts.policy, facts.appendonly) == ("allkeys-lfu", "0")
    assert facts.maxmemory > 0


def test_the_database_has_vectors_and_is_crash_safe(own_servers: Servers) -> None:
    connection = psycopg2.connect(own_servers.database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT '[1,2,3]'::vector <-> '[1,2,4]'")
        assert cursor.fetchone() == (1.0,)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            cursor.execute(f"SHOW {setting}")
            assert cursor.fetchone() == ("on",)
    connection.close()


def test_every_server_wants_a_password_and_listens_on_loopback_only(servers: Servers) -> None:
    for url in (servers.redis_url, servers.cache_url):
        with (
            redis.Redis.from_url(url.replace(url.split(":")[2].split("@")[0], "wrong")) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(servers.database_url, password="wrong")
    ports = [int(url.rpartition(":")[2].split("/")[0]) for url in (servers.redis_url, servers.database_url)]
    for port in ports:
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.2", port))


def test_the_data_directory_is_the_nearest_then_the_projects_then_here(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "package" / "deep"
    inner.mkdir(parents=True)
    assert embedded.data_dir(inner) == inner / ".sweep"
    (tmp_path / "project" / "pyproject.toml").touch()
    assert embedded.data_dir(inner) == tmp_path / "project" / ".sweep"
    (tmp_path / ".sweep").mkdir()
    assert embedded.data_dir(inner) == tmp_path / ".sweep"


def test_the_setting_decides_over_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_DIR", str(tmp_path / "elsewhere"))
    assert embedded.data_dir(tmp_path) == tmp_path / "elsewhere"


def test_servers_that_settings_name_are_used_and_nothing_is_started(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = Settings(database_url=servers.database_url, redis_url=servers.redis_url)
    assert embedded.bring_up(loaded) == {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "CACHE_URL": servers.redis_url,
    }
    assert list(tmp_path.iterdir()) == []


def test_only_what_no_setting_names_is_started(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = Settings(database_url=servers.database_url)
    try:
        urls = embedded.bring_up(loaded, owner=os.getpid())
        assert urls["DATABASE_URL"] == servers.database_url
        assert not (tmp_path / ".sweep" / "postgres").exists()
        assert embedded.resolve(loaded) == urls
    finally:
        embedded.down(tmp_path / ".sweep")


def test_resolving_without_servers_says_how_to_start_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not running") as caught:
        embedded.resolve(Settings())
    assert "sweep up" in caught.value.hint


def test_a_forced_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} .* in use"):
            embedded.up(tmp_path / ".sweep", ports={Role.BROKER: port}, owner=os.getpid())
    assert embedded.running(tmp_path / ".sweep") is None


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    directory = tmp_path / ".sweep"
    roles = frozenset({Role.CACHE})
    before = embedded.up(directory, roles=roles, owner=os.getpid())
    embedded.down(directory)
    try:
        with socket.create_server(("127.0.0.1", int(before.cache_url.rpartition(":")[2].split("/")[0]))):
            after = embedded.up(directory, roles=roles, owner=os.getpid())
        assert after != before
        require_valkey("CACHE_URL", after.cache_url)
    finally:
        embedded.down(directory)


def test_data_of_another_major_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    cluster = tmp_path / ".sweep" / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(InputError, match="made by PostgreSQL 9"):
        embedded.up(tmp_path / ".sweep", owner=os.getpid())
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]
    assert embedded.running(tmp_path / ".sweep") is None


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        embedded.up(tmp_path / "file" / ".sweep", owner=os.getpid())


def test_a_full_disk_is_named_as_such(tmp_path: Path) -> None:
    failure = unusable(Layout(tmp_path), OSError(errno.ENOSPC, "No space left on device"))
    assert "no space left" in failure.message
    assert "200 MB" in failure.hint


def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / ".sweep"
    directory.mkdir()
    if os.geteuid() == 0:
        os.chown(directory, 12345, 12345)
    else:
        directory = Path("/usr")
    with pytest.raises(InputError, match="belongs to another user"):
        embedded.up(directory, owner=os.getpid())


def test_a_program_that_does_not_exist_is_named(own_servers: Servers, tmp_path: Path) -> None:
    assert own_servers.redis_url
    with pytest.raises(InputError, match="no program /no/such/thing"):
        embedded.start(tmp_path / ".sweep", embedded.Program(name="ghost", argv=("/no/such/thing",)))


def test_a_program_for_servers_that_do_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not running"):
        embedded.start(tmp_path / ".sweep", embedded.Program(name="early", argv=("/bin/true",)))


class _OldServer(socketserver.StreamRequestHandler):
    """Redis 5, as far as a client that asks for its version can tell."""

    def handle(self) -> None:
        info = b"# Server\r\nredis_version:5.0.14\r\nmaxmemory_policy:noeviction\r\naof_enabled:0\r\nmaxmemory:0\r\n"
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            if words[0].upper() == b"INFO":
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(info), info))
            else:
                self.wfile.write(b"-ERR unknown command\r\n")

    def _word(self) -> bytes:
        self.rfile.readline()
        return self.rfile.readline().strip()


@contextmanager
def an_old_server() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _OldServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()


def test_a_redis_server_that_is_too_old_is_refused_with_its_version() -> None:
    with an_old_server() as url, pytest.raises(InputError, match=r"version 5\.0, too old"):
        require_valkey("REDIS_URL", url)


def test_a_redis_address_that_nobody_answers_is_refused_without_its_password() -> None:
    with pytest.raises(InputError, match=r"answers at 127\.0\.0\.1:1$") as caught:
        require_valkey("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    assert "hunter2" not in caught.value.message + caught.value.hint
