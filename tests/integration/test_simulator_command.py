"""The simulator as a command: its one line, its port file, its end."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scripts.simulator.testing import running

CHEAP = ["--answers=fast", "--tokens=approx"]


@contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "scripts.simulator", *CHEAP, *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def refused(*words: str) -> str:
    """What the command says on stderr, having ended with 2 and printed nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.simulator", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_serves_and_stops_at_once_with_calls_in_flight(
    tmp_path: Path, number: signal.Signals
) -> None:
    port_file = tmp_path / "port"
    with command("--latency=60", f"--port-file={port_file}") as process:
        url = first_line(process)
        assert url == f"http://127.0.0.1:{port_file.read_text().strip()}"
        assert httpx.get(f"{url}/healthz", timeout=5).json() == {"ok": True}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{url}/v1/chat/completions",
                json={"model": "m", "messages": [{"role": "user", "content": "x"}]},
                timeout=0.2,
            )
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
            process.send_signal(number)
            assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["port"]


def test_a_port_in_use_is_one_message_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(*CHEAP, f"--port={taken.getsockname()[1]}")

    assert "Address already in use" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host=0.0.0.0"], "--expose"),
        (["--host=example.com"], "--expose"),
        (["--fail=nope"], "unknown fault 'nope'"),
        (["--latency=slow"], "latency 'slow'"),
        (["--answers=best"], "rules, fast"),
        (["--tokens=none"], "exact, approx"),
        (["--burst=0"], "burst"),
        ([*CHEAP, "--port-file=/nonexistent/port"], "/nonexistent/port"),
        ([*CHEAP, "--host=192.0.2.1", "--expose"], "192.0.2.1"),
    ],
)
def test_bad_options_are_one_message_and_exit_2(words: list[str], says: str) -> None:
    assert says in refused(*words)


def test_it_goes_with_its_parent() -> None:
    parent = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'scripts.simulator', '--answers=fast', '--tokens=approx',\n"
        "                          '--with-parent'], stdout=subprocess.PIPE, text=True)\n"
        "print(child.stdout.readline().strip(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        url = first_line(process)
        assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30) as connection:
            process.kill()
            assert connection.recv(1) == b""  # its other end is gone when the child is


async def test_a_test_can_have_it_as_a_process_of_its_own() -> None:
    simulator = running(process=True, answers="fast", tokens="approx", rpm=3, fail=["500:1"])
    async with simulator as remote, httpx.AsyncClient() as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        statuses = [(await client.post(f"{remote.base_url}/chat/completions", json=body)).status_code for _ in range(4)]

    assert statuses == [500, 200, 200, 429]
