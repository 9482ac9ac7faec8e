"""`sweep demo`, as `make demo` runs it."""

import contextlib
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from scripts import embedded
from scripts.simulator.testing import running
from tests.commands import BIN, INTERRUPTIBLE

CODE = "def area(width: float, height: float) -> float:\n    return width * height\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with input of a user's own; what a demo has left running is stopped."""
    (tmp_path / "shop.py").write_text(CODE)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "retry.md").write_text("# Retrying\n\nA task that failed is tried again later.\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total NUMERIC)")
    yield tmp_path
    embedded.down(tmp_path / ".sweep")


OWN = ("--src", "shop.py", "--db", "sqlite:///shop.db", "--docs", "texts")


def environment(folder: Path, **env: str) -> dict[str, str]:
    return {"PATH": f"{BIN}:{os.defpath}", "HOME": str(folder), "SWEEP_DIR": str(folder / ".sweep"), **env}


def demo(folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BIN / "sweep", "demo", *words],
        cwd=folder,
        env=environment(folder, **env),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def sweeps(folder: Path) -> list[Mapping[str, object]]:
    done = subprocess.run(
        [BIN / "sweep", "ls", "--json"], cwd=folder, env=environment(folder), capture_output=True, check=True
    )
    found: list[Mapping[str, object]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_from_nothing_to_results_and_a_second_run_is_paid_by_the_cache(folder: Path) -> None:
    first = demo(folder)
    assert first.returncode == 0, first.stderr
    asked = re.search(r"were asked (\d+) times, the ledger has (\d+) calls", first.stderr)
    assert asked is not None
    assert asked[1] == asked[2] != "0"
    for said in ("git apply", "index.md", "nearest to", "retry"):
        assert said in first.stdout
    assert (folder / ".sweep" / "demo" / "docstrings.patch").stat().st_size > 1000
    assert embedded.running(folder / ".sweep") is None

    second = demo(folder)
    assert second.returncode == 0, second.stderr
    assert "0 provider calls, nothing was paid" in second.stderr
    assert "were asked 0 times, the ledger has 0 calls" in second.stderr


def test_a_users_own_input_beside_servers_that_run_already_told_in_lines_where_no_terminal_is(folder: Path) -> None:
    directory = folder / ".sweep"
    servers = embedded.up(directory, owner=os.getpid())
    done = demo(folder, *OWN)
    assert done.returncode == 0, done.stderr
    assert "jobs, " in done.stderr
    assert "━" not in done.stderr
    assert "1 docstrings in a patch" in done.stdout
    assert "2 fields, 2 described" in done.stdout
    assert "retry.md" in done.stdout
    assert embedded.running(directory) == servers
    assert embedded.programs(directory) == []
    assert "+++ b/shop.py" in (directory / "demo" / "docstrings.patch").read_text()


def test_a_provider_of_ones_own_with_its_own_model_names(folder: Path) -> None:
    with running(process=True, models=["gpt-4o", "text-embedding-3-large"]) as simulator:
        names = {"OPENAI_MODEL": "gpt-4o", "OPENAI_EMBEDDING_MODEL": "text-embedding-3-large"}
        done = demo(folder, *OWN, "--provider", "openai", OPENAI_BASE_URL=simulator.base_url, **names)
        asked = simulator.stats(brief=True)["requests"]
    assert done.returncode == 0, done.stderr
    assert asked >= 4
    assert "simulated" not in done.stderr


def test_workers_of_a_real_provider_are_never_asked_in_the_demos_name(folder: Path) -> None:
    with running(process=True) as real:
        env = environment(folder, OPENAI_BASE_URL=real.base_url)
        up = (BIN / "sweep", "up", "-p", "openai", "--no-flower")
        subprocess.run(up, cwd=folder, env=env, capture_output=True, check=True)
        done = demo(folder, *OWN, OPENAI_BASE_URL=real.base_url)
        assert done.returncode == 0, done.stderr
        assert real.stats(brief=True)["requests"] == 0
        assert [program.name for program in embedded.programs(folder / ".sweep")] == ["worker-openai-1"]
        assert sweeps(folder) == []


def test_a_provider_that_does_not_answer_is_told_before_anything_starts(folder: Path) -> None:
    done = demo(folder, "--provider", "openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: provider openai: http://127.0.0.1:9/v1 does not answer")
    assert not (folder / ".sweep").exists()


def test_a_worker_that_cannot_start_ends_the_demo_instead_of_hanging_it(folder: Path, taken_port: str) -> None:
    done = demo(folder, *OWN, METRICS_PORT=taken_port)
    assert done.returncode == 2
    assert re.search(r"sweep: demo-worker-\w+-1 does not stay up\n +see .*demo-worker-\w+-1\.log", done.stderr)
    assert embedded.running(folder / ".sweep") is None
    assert {found["state"] for found in sweeps(folder)} == {"cancelled"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_stops_everything_and_leaves_nothing_to_be_paid_later(
    folder: Path, number: signal.Signals, code: int, eventually: Callable[..., None]
) -> None:
    # More calls than end before the signal comes, one after the other.
    (folder / "shop.py").write_text("".join(f"def area_{n}(width):\n    return width * {n}\n\n\n" for n in range(500)))
    one_by_one = environment(folder, OPENAI_MAX_CONCURRENT_REQUESTS="1")
    log = folder / "talk"
    with log.open("w") as talk:
        process = subprocess.Popen(
            [*INTERRUPTIBLE, BIN / "sweep", "demo", *OWN], cwd=folder, env=one_by_one, stdout=talk, stderr=talk
        )
        eventually(lambda: "jobs, " in log.read_text(), within=60)
        process.send_signal(number)
        assert process.wait(60) == code, log.read_text()
    assert "Traceback" not in log.read_text()
    assert embedded.running(folder / ".sweep") is None
    assert "running" not in {found["state"] for found in sweeps(folder)}


def test_on_a_terminal_there_are_bars(folder: Path) -> None:
    shown = bytearray()
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [BIN / "sweep", "demo", *OWN],
        cwd=folder,
        env=environment(folder, TERM="xterm", COLUMNS="160"),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    reader = threading.Thread(target=_read, args=(main, shown))
    reader.start()
    assert process.wait(60) == 0
    reader.join()
    assert "━━━━".encode() in shown
    assert b"1/1" in shown


def _read(handle: int, shown: bytearray) -> None:
    with contextlib.suppress(OSError), open(handle, "rb", buffering=0) as file:
        while data := file.read(4096):
            shown.extend(data)
