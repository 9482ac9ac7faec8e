"""`sweep up`, `down` and `doctor` as commands, in a project of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from scripts import embedded


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with a project file; what was started in it is stopped."""
    (tmp_path / "pyproject.toml").touch()
    yield tmp_path
    embedded.down(tmp_path / ".sweep")


def sweep(folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name("sweep"), *words],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_servers_are_found_from_below_the_project_and_stay_until_down(project: Path) -> None:
    below = project / "package" / "deep"
    below.mkdir(parents=True)
    started = sweep(project, "up", "--no-workers", "--no-flower", "--env")
    again = sweep(below, "up", "--no-workers", "--no-flower", "--env")
    assert (started.returncode, again.returncode) == (0, 0), started.stderr + again.stderr
    assert started.stdout == again.stdout
    urls = dict(line.split("=", 1) for line in started.stdout.splitlines())
    with redis.Redis.from_url(urls["REDIS_URL"]) as broker:
        assert broker.ping()
    assert sweep(below, "doctor").returncode == 0
    assert "stopped" in sweep(below, "down").stderr
    assert "nothing runs" in sweep(below, "down").stderr


def test_up_starts_a_worker_for_the_rules_and_flower_behind_a_login(project: Path) -> None:
    started = sweep(project, "up")
    assert started.returncode == 0, started.stderr
    assert {program.name: program.state for program in embedded.programs(project / ".sweep")} == {
        "worker-rules-1": "running",
        "flower": "running",
    }
    line = next(line for line in started.stderr.splitlines() if line.startswith("Flower: "))
    url, login = line.removeprefix("Flower: ").rstrip(")").split(" (login ")
    assert httpx.get(url, timeout=30).status_code == 401
    assert httpx.get(url, auth=(login.split(":")[0], login.split(":")[1]), timeout=30).status_code == 200
    assert sweep(project, "down").returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


@pytest.mark.parametrize(
    ("words", "env", "message"),
    [
        (["up", "-p", "openai"], {}, "provider openai has no key"),
        (["up", "-p", "nobody"], {}, "unknown provider 'nobody'"),
        (["up"], {"REDIS_URL": "redis://127.0.0.1:1/0"}, "REDIS_URL: no Redis or Valkey server answers at 127.0.0.1:1"),
        (["up"], {"SWEEP_DIR": "/proc/none"}, "the data directory /proc/none cannot be written"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2_and_nothing_is_started(
    project: Path, words: list[str], env: dict[str, str], message: str
) -> None:
    told = sweep(project, *words, **env)
    assert told.returncode == 2
    assert told.stderr.startswith(f"sweep: {message}")
    assert "Traceback" not in told.stderr
    assert embedded.running(project / ".sweep") is None
    assert not (project / ".sweep").exists()


def test_a_forced_flower_port_that_is_taken_is_named(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = sweep(project, "up", "--no-workers", "--flower-port", str(port))
    assert told.returncode == 2
    assert told.stderr.startswith(f"sweep: port {port} for Flower is in use by another program")
    assert embedded.running(project / ".sweep") is None
