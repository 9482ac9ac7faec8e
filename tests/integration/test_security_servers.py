"""The embedded servers listen to this machine only, want their password, and keep their files to their owner."""

import contextlib
import json
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scripts import embedded
from tests.processes import family, listening, of_process


def test_every_server_and_program_listens_on_loopback_only(own_servers: embedded.Servers, tmp_path: Path) -> None:
    directory = tmp_path / ".sweep"
    addresses = [address for pid in family(directory) for address in listening(pid)]
    assert len(addresses) >= 4  # supervisor, PostgreSQL, broker, cache
    assert set(addresses) == {"127.0.0.1"}


def test_no_server_lets_anybody_in_without_the_password_or_with_a_wrong_one(own_servers: embedded.Servers) -> None:
    for url in (own_servers.redis_url, own_servers.cache_url):
        parts = urlsplit(url)
        for password in (None, "", "wrong"):
            with (
                redis.Redis(
                    host=parts.hostname or "", port=parts.port or 0, password=password, retry=Retry(NoBackoff(), 0)
                ) as client,
                pytest.raises((redis.AuthenticationError, redis.ResponseError)),
            ):
                client.get("x")
    parts = urlsplit(own_servers.database_url)
    for user in ("llmsweep", "postgres", "root"):
        for password in ("", "wrong"):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(host=parts.hostname, port=parts.port, user=user, password=password, dbname="postgres")


def test_the_supervisor_obeys_nobody_who_lacks_its_token(own_servers: embedded.Servers, tmp_path: Path) -> None:
    told = json.loads((tmp_path / ".sweep/supervisor.json").read_text())
    for line in (
        b'{"op": "down"}\n',
        b'{"op": "down", "token": "x"}\n',
        b"junk\n",
        b"\xff" * 1_000_000 + b"\n",
        b"[" * 50_000 + b"\n",
    ):
        with socket.create_connection(("127.0.0.1", told["port"]), timeout=5) as connection:
            connection.sendall(line)
            with contextlib.suppress(OSError):
                connection.recv(1000)
    assert embedded.running(tmp_path / ".sweep") is not None


def test_what_holds_a_password_or_data_is_readable_by_its_owner_only(
    own_servers: embedded.Servers, tmp_path: Path
) -> None:
    directory = tmp_path / ".sweep"
    secret = urlsplit(own_servers.redis_url).password or ""
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.rglob("*"):
        if path.is_symlink() or not path.exists() or "postgres" in path.relative_to(directory).parts[0]:
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode & 0o077 == 0, path
        elif path.is_file() and secret.encode() in path.read_bytes():
            assert mode == 0o600, path
    assert stat.S_IMODE((directory / "postgres").stat().st_mode) == 0o700


def test_no_password_of_the_servers_is_on_a_command_line(own_servers: embedded.Servers, tmp_path: Path) -> None:
    secret = urlsplit(own_servers.redis_url).password or ""
    pids = family(tmp_path / ".sweep")
    assert len(pids) >= 4
    assert not any(secret.encode() in of_process(pid, "cmdline") for pid in pids)
