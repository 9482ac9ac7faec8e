"""What the image runs, run as the image runs it, short of Docker: see `tests.image.confined`."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from core.sweep import SweepSpec, Target
from db import progress
from db.engine import connect
from tasks import producer
from tests.image import CONFINED_DEPENDENCIES, ROOT, can_be_confined, confined, copied, installed, wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_be_confined(), reason="this machine allows no mount and user namespaces"),
]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    return installed(wheel(copied(folder / "source"), folder / "dist"), folder / "venv", CONFINED_DEPENDENCIES)


@pytest.fixture
def image(venv: Path, tmp_path: Path, servers_environment: dict[str, str]) -> "Image":
    (tmp_path / "tmp").mkdir()
    return Image(venv, tmp_path / "tmp", servers_environment)


class Image:
    def __init__(self, venv: Path, writable: Path, environment: dict[str, str]) -> None:
        self.venv, self.tmp = venv, writable
        dockerfile = (ROOT / "Dockerfile").read_text()
        own = dict(re.findall(r"^(?:ENV)? +([A-Z]+\w*)=(\S+)", dockerfile, re.MULTILINE))
        own["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        words = [f"{name}={value}" for name, value in {**own, **environment}.items()]
        # No HOME, no account: all that a container with a bare uid has.
        self.prefix = [*confined(venv, writable), "env", "-i", *words]
        self.health: list[str] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"][
            "worker-openai"
        ]["healthcheck"]["test"]

    def argv(self, *words: str) -> list[str]:
        return [*self.prefix, "/mnt/bin/python", "/mnt/bin/sweep", *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60, check=False)

    def is_healthy(self) -> bool:
        kind, line = self.health
        assert kind == "CMD-SHELL"
        told = subprocess.run([*self.prefix, "sh", "-c", line.replace("$$", "$")], capture_output=True, check=False)
        return told.returncode == 0


@pytest.fixture
def worker(image: Image, tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(image.argv("worker", "--provider", "rules"), stdout=log, stderr=log)
        yield process
        process.kill()
        process.wait()


def test_the_root_is_read_only_and_the_user_nobody_special(image: Image) -> None:
    look = "import os; print(os.getuid()); open('/tmp/a', 'w'); open('/mnt/a', 'w')"
    told = subprocess.run(
        [*image.prefix, "/mnt/bin/python", "-c", look], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.stdout == "10001\n"
    assert "Read-only file system: '/mnt/a'" in told.stderr


def test_the_migrate_service_and_the_health_check_tell_how_the_servers_are(
    image: Image, servers_environment: dict[str, str]
) -> None:
    for words in (["doctor", "--migrate", "--quick"], ["doctor", "--quick"]):
        told = image.run(*words)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "migrations" in told.stdout
    nowhere = {**servers_environment, "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}
    away = Image(image.venv, image.tmp, nowhere).run("doctor", "--quick")
    assert away.returncode == 1
    assert "127.0.0.1:1" in away.stdout
    assert "hunter2" not in away.stdout + away.stderr


def test_a_worker_works_is_healthy_as_long_as_it_lives_and_ends_when_told(
    image: Image,
    worker: "subprocess.Popen[bytes]",
    servers_environment: dict[str, str],
    tmp_path: Path,
    eventually: Callable[..., None],
) -> None:
    assert not image.is_healthy()
    eventually(image.is_healthy, within=90)
    source = tmp_path / "module.py"
    source.write_text("def add(first: int, second: int) -> int:\n    return first + second\n")
    target = Target(provider="rules", model="rules")
    spec = SweepSpec(name="s", kind="docstring", source={"paths": [str(source)]}, targets=(target,))
    producer.submit(servers_environment["DATABASE_URL"], spec)
    engine = connect(servers_environment["DATABASE_URL"], role="reader", pool=1)
    eventually(lambda: progress.status(engine, "s").done)
    engine.dispose()
    beat = image.tmp / "sweep-alive"
    before = beat.stat().st_mtime_ns
    eventually(lambda: beat.stat().st_mtime_ns > before)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0, (tmp_path / "worker.log").read_text()
    old = time.time() - 61
    beat.touch()
    assert image.is_healthy()
    os.utime(beat, (old, old))
    assert not image.is_healthy()
