"""Bad surroundings: servers, ports, disks and homes that are missing, wrong or full. One message, exit 2, no trace."""

import os
import resource
import shutil
import socket
import subprocess
from pathlib import Path

import psycopg2
import pytest

from scripts import embedded
from tests.commands import BIN, PROMPTS, Refused, World, refused_outside


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/db"}, "DATABASE_URL"),
        ({"DATABASE_URL": "mysql://me:hunter2@host/db"}, "PostgreSQL"),
        ({"DATABASE_URL": "hunter2"}, "DATABASE_URL is not a database address"),
        (
            {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"},
            "REDIS_URL: no Redis or Valkey server answers at 127.0.0.1:1",
        ),
        ({"REDIS_URL": "hunter2"}, "REDIS_URL is not a Redis address"),
    ],
)
def test_a_server_that_is_not_there_is_named_without_its_password(
    refused: Refused, env: dict[str, str], said: str
) -> None:
    message = refused("ls", **env)
    assert said in message
    assert "hunter2" not in message


def test_a_wrong_password_is_told_from_a_missing_server(world: World, refused: Refused) -> None:
    servers = embedded.running(Path(world.env["SWEEP_DIR"]))
    assert servers is not None
    message = refused("ls", REDIS_URL=f"redis://:hunter2@{servers.redis_url.partition('@')[2]}")
    assert "refuses the password" in message
    password = servers.database_url.partition("@")[0].rpartition(":")[2]
    message = refused("ls", DATABASE_URL=servers.database_url.replace(password, "hunter2"))
    assert "password" in message
    assert "hunter2" not in message


def test_a_database_without_pgvector_is_refused_and_nothing_is_left_in_it(world: World, refused: Refused) -> None:
    servers = embedded.running(Path(world.env["SWEEP_DIR"]))
    assert servers is not None
    connection = psycopg2.connect(servers.database_url)
    connection.autocommit = True
    try:
        # A user who may not install extensions meets a server without pgvector.
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        cursor.execute("CREATE DATABASE bare OWNER plain TEMPLATE template0")
        address = servers.database_url.partition("@")[2].rpartition("/")[0]
        bare = f"postgresql://plain:plain@{address}/bare"
        assert "vector" in refused("ls", DATABASE_URL=bare)
        inside = psycopg2.connect(bare)
        found = inside.cursor()
        found.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert found.fetchone() == (0,)
        inside.close()
    finally:
        cursor.execute("DROP DATABASE IF EXISTS bare WITH (FORCE)")
        cursor.execute("DROP ROLE IF EXISTS plain")
        connection.close()


def test_a_port_that_is_taken_is_named_and_nothing_is_started(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        message = refused_outside(
            world, "up", "--no-workers", "--no-flower", "--redis-port", port, SWEEP_DIR=str(tmp_path)
        )
        assert port in message
        assert "in use" in refused_outside(world, "simulate", "--port", port)
    assert embedded.running(tmp_path) is None


# ---- disks and homes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_data_directory_is_named_and_leaves_no_process(world: World, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    done = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this machine does not let root mount")
    try:
        message = refused_outside(world, "ls", SWEEP_DIR=str(small / ".sweep"))
        assert "full" in message or "No space left" in message
        assert embedded.running(small / ".sweep") is None
    finally:
        subprocess.run(["/bin/umount", small], check=True)


def test_an_export_that_does_not_fit_says_so_and_leaves_the_file_that_was_there(world: World, tmp_path: Path) -> None:
    world.file("large.jsonl", *({"id": f"l{n}", "prompt": f"large {n}"} for n in range(40)))
    world.sweep("submit", "prompt", "large.jsonl", "-n", "large", "--watch")
    (tmp_path / "out.jsonl").write_text("as it was")
    done = subprocess.run(
        [BIN / "sweep", "export", "large", "-o", "out.jsonl"],
        cwd=tmp_path,
        env={**world.env, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "as it was"


def test_a_full_standard_output_is_an_error(world: World) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BIN / "sweep", "ls", "--json"],
            env=dict(world.env),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: No space left on device")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("sweep ls --json >&-", 0, ""),
        ("sweep status nothing 2>&-", 2, ""),
        ("sweep ls --json <&- >/dev/null", 0, ""),
        ("mkdir gone && cd gone && rmdir ../gone && sweep ls", 2, "sweep: the working directory is gone"),
        ("PYTHONIOENCODING=ascii sweep status n\u00f3thing\u2026", 2, "no sweep is called"),
    ],
)
def test_closed_streams_a_lost_directory_and_an_old_encoding_are_no_defect(
    world: World, tmp_path: Path, script: str, code: int, said: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=tmp_path, env=dict(world.env), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_is_missing_or_closed_is_no_obstacle(world: World, tmp_path: Path) -> None:
    homeless = {name: value for name, value in world.env.items() if name != "HOME"}
    world.file("homeless.jsonl", *PROMPTS[:1])
    for env in (homeless, {**homeless, "HOME": "/proc/none"}, {**homeless, "HOME": ""}):
        done = subprocess.run(
            [BIN / "sweep", "submit", "prompt", "homeless.jsonl", "-n", "homeless", "--budget", "1"],
            cwd=world.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_tool_that_is_missing_from_the_path_is_no_obstacle(world: World, tmp_path: Path) -> None:
    assert shutil.which("redis-server", path=str(tmp_path)) is None
    assert world.sweep("ls", PATH=str(tmp_path)).code == 0
