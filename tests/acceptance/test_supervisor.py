"""The supervisor as its users meet it: real processes, killed at bad moments."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from scripts import embedded
from scripts.embedded import Program, Servers
from scripts.supervisor.files import Layout, holders, read_json
from tests.processes import of_process

Eventually = Callable[..., None]

_UP = """
import sys
from pathlib import Path
from scripts import embedded
print(embedded.up(Path(sys.argv[1])).redis_url)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A data directory that is shut down after the test, whatever the test has done to it."""
    place = tmp_path / ".sweep"
    yield place
    embedded.down(place)


def up(directory: Path, *programs: Program) -> Servers:
    return embedded.up(directory, programs, owner=os.getpid())


def shell(name: str, script: str, *, owner: int | None = None) -> Program:
    return Program(name=name, argv=("/bin/sh", "-c", script), owner=owner)


def supervisor_of(directory: Path) -> int:
    return int(read_json(Layout(directory).endpoint)["pid"])


def server_pids(directory: Path) -> list[int]:
    return [pid for pid in holders(Layout(directory).lock) if pid != supervisor_of(directory)]


def remember(servers: Servers, word: str) -> None:
    execute(servers, f"CREATE TABLE IF NOT EXISTS memory AS SELECT '{word}' AS word")
    with redis.Redis.from_url(servers.redis_url) as broker:
        broker.set("memory", word)


def remembered(servers: Servers) -> tuple[str, str]:
    with redis.Redis.from_url(servers.redis_url, decode_responses=True) as broker:
        return execute(servers, "SELECT word FROM memory"), str(broker.get("memory"))


def execute(servers: Servers, statement: str) -> str:
    connection = psycopg2.connect(servers.database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return str(row[0]) if row else ""
    finally:
        connection.close()


def answers(servers: Servers) -> bool:
    try:
        execute(servers, "SELECT 1")
        with redis.Redis.from_url(servers.redis_url) as broker:
            return bool(broker.ping())
    except (psycopg2.Error, redis.RedisError):
        return False


def is_alive(pid: int) -> bool:
    status = of_process(pid, "stat")
    return bool(status) and status.rpartition(b")")[2].split()[0] != b"Z"


def test_a_killed_supervisor_takes_all_processes_along_and_the_next_start_finds_data_and_addresses(
    directory: Path, eventually: Eventually
) -> None:
    before = up(directory, shell("sleeper", "exec sleep 600"))
    remember(before, "kept")
    (sleeper,) = embedded.programs(directory)
    assert sleeper.pid is not None
    pids = [supervisor_of(directory), sleeper.pid, *server_pids(directory)]

    os.kill(supervisor_of(directory), signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, pids)))
    assert embedded.running(directory) is None

    after = up(directory)
    assert after == before
    assert remembered(after) == ("kept", "kept")


def test_a_start_right_behind_the_kill_waits_for_the_old_servers(directory: Path) -> None:
    remember(up(directory), "kept")
    for _ in range(3):
        os.kill(supervisor_of(directory), signal.SIGKILL)
        assert remembered(up(directory)) == ("kept", "kept")


def test_a_supervisor_killed_in_its_first_start_leaves_a_directory_that_starts(
    directory: Path, eventually: Eventually
) -> None:
    starter = subprocess.Popen([sys.executable, "-c", _UP, str(directory)], stderr=subprocess.DEVNULL)
    begun = (directory / "postgres.new", directory / "postgres")  # the one becomes the other
    eventually(lambda: any(path.exists() for path in begun) and Layout(directory).endpoint.exists())
    os.kill(supervisor_of(directory), signal.SIGKILL)
    starter.kill()
    starter.wait()
    assert answers(up(directory))


def test_commands_that_start_at_the_same_instant_share_one_supervisor(directory: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", _UP, str(directory)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = {starter.communicate(timeout=100)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert len(told) == 1
    supervisors = [p for p in Path("/proc").glob("[0-9]*/cmdline") if _supervises(p, directory)]
    assert len(supervisors) == 1


def _supervises(cmdline: Path, directory: Path) -> bool:
    words = of_process(int(cmdline.parent.name), "cmdline").split(b"\0")
    return b"scripts.supervisor" in words and os.fsencode(directory) in words


def test_a_killed_server_comes_back_on_its_port_with_its_data(directory: Path, eventually: Eventually) -> None:
    servers = up(directory)
    remember(servers, "kept")
    execute(servers, "CHECKPOINT")
    with redis.Redis.from_url(servers.redis_url) as broker:
        broker.config_set("appendfsync", "always")
        broker.set("memory", "kept")
    for pid in server_pids(directory):
        with contextlib.suppress(ProcessLookupError):  # a server's child goes with its server
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: answers(servers))
    assert remembered(servers) == ("kept", "kept")
    assert embedded.running(directory) == servers


def test_down_stops_programs_before_servers_and_leaves_no_process(directory: Path, tmp_path: Path) -> None:
    servers = up(directory)
    farewell = tmp_path / "farewell.py"
    farewell.write_text(
        "import redis, signal, sys\n"
        "def bye(*_):\n"
        f"    redis.Redis.from_url({servers.redis_url!r}).set('last words', 'bye')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    embedded.start(directory, Program(name="polite", argv=(sys.executable, str(farewell))))
    log = Path(embedded.programs(directory)[0].log)
    while "ready" not in log.read_text():
        assert embedded.programs(directory)[0].state == "running"
    assert embedded.down(directory)
    assert holders(Layout(directory).lock) == []
    assert not embedded.down(directory)
    with redis.Redis.from_url(up(directory).redis_url, decode_responses=True) as broker:
        assert broker.get("last words") == "bye"


def test_everything_ends_with_its_owner(directory: Path, eventually: Eventually) -> None:
    owner = subprocess.Popen(["/bin/sleep", "600"])
    embedded.up(directory, [shell("sleeper", "exec sleep 600")], owner=owner.pid)
    pids = [supervisor_of(directory), *server_pids(directory)]
    owner.kill()
    owner.wait()
    eventually(lambda: not any(map(is_alive, pids)))


def test_who_asks_without_an_owner_keeps_the_servers_when_the_owner_goes(
    directory: Path, eventually: Eventually
) -> None:
    owner = subprocess.Popen(["/bin/sleep", "600"])
    servers = embedded.up(directory, [shell("owned", "exec sleep 600", owner=owner.pid)], owner=owner.pid)
    assert embedded.up(directory) == servers
    owner.kill()
    owner.wait()
    eventually(lambda: embedded.programs(directory) == [])
    assert answers(servers)


def test_the_last_owner_that_leaves_stops_everything(directory: Path, eventually: Eventually) -> None:
    up(directory)
    pids = [supervisor_of(directory), *server_pids(directory)]
    embedded.leave(directory, os.getpid())
    assert holders(Layout(directory).lock) == []
    eventually(lambda: not any(map(is_alive, pids)))


def test_a_program_that_dies_is_started_again_and_one_that_is_done_is_not(
    directory: Path, eventually: Eventually
) -> None:
    up(directory, shell("fragile", "echo here; exec sleep 600"), shell("done", "exit 0"))

    def status(name: str) -> embedded.ProgramStatus:
        return next(program for program in embedded.programs(directory) if program.name == name)

    eventually(lambda: status("done").state == "ended")
    eventually(lambda: Path(status("fragile").log).read_text() == "here\n")
    first = status("fragile").pid
    assert first is not None
    eventually(lambda: Path(status("fragile").log).read_text() == "here\n")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: status("fragile").restarts == 1 and status("fragile").pid not in {first, None})
    assert status("fragile").exit_code == -signal.SIGKILL
    eventually(lambda: Path(status("fragile").log).read_text() == "here\nhere\n")
    assert status("done").restarts == 0

    assert embedded.stop(directory, "fragile")
    assert not embedded.stop(directory, "fragile")
    assert [program.name for program in embedded.programs(directory)] == ["done"]


def test_a_program_that_ignores_the_polite_signal_is_killed_with_its_children(
    directory: Path, tmp_path: Path, eventually: Eventually
) -> None:
    up(directory)
    child = tmp_path / "child"
    script = f"trap '' TERM; sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait; wait"
    embedded.start(directory, Program(name="deaf", argv=("/bin/sh", "-c", script), grace_s=0.2))
    eventually(child.exists)
    assert embedded.stop(directory, "deaf")
    eventually(lambda: not is_alive(int(child.read_text())))


def test_a_program_has_the_environment_and_folder_of_the_command_that_handed_it_over(
    directory: Path, tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(directory)
    monkeypatch.setenv("FROM_THE_COMMAND", "late")
    monkeypatch.chdir(tmp_path)
    embedded.start(
        directory,
        Program(
            name="teller",
            argv=("/bin/sh", "-c", 'echo "$FROM_THE_COMMAND $OWN $PWD"; exec sleep 600'),
            env={"OWN": "secret"},
        ),
    )
    log = Path(embedded.programs(directory)[0].log)
    eventually(lambda: log.read_text() == f"late secret {tmp_path}\n")


def test_a_path_longer_than_a_socket_address_is_no_obstacle(tmp_path: Path) -> None:
    directory = tmp_path / ("deep" * 30) / 'it\'s a "quoted" ünï folder' / ".sweep"
    try:
        assert answers(up(directory))
    finally:
        embedded.down(directory)


def test_no_password_is_seen_in_a_process_list_or_readable_by_others(directory: Path) -> None:
    servers = up(directory)
    password = read_json(Layout(directory).identity)["password"]
    assert password in servers.database_url
    for pid in holders(Layout(directory).lock):
        assert password.encode() not in of_process(pid, "cmdline")
    for path in directory.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            assert password not in path.read_text(errors="ignore")
