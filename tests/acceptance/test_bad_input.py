"""Bad input: one clear message that says what, where and what to do, exit code 2, and nothing half-written."""

import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from core.settings import PREFIXES, forget
from scripts import embedded
from scripts.cli.main import run as command
from tests.commands import BIN, PROMPTS, Told, World

Refused = Callable[..., str]


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
        return _one_message(Told(code=code, out=out, err=err))

    for provider in PREFIXES.values():
        monkeypatch.delenv(f"{provider}API_KEY", raising=False)
    yield run
    forget()


def refused_outside(world: World, *words: str, **env: str) -> str:
    """The same, as a process of its own: for commands that handle signals, or start processes."""
    return _one_message(world.sweep(*words, code=2, cwd=None, **env))


def _one_message(told: Told) -> str:
    assert told.code == 2, told.err
    assert told.out == ""
    assert told.err.startswith("sweep: ")
    assert len(told.err.splitlines()) <= 3, told.err
    return told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["docstring", "nowhere.py"], "nowhere.py"),
        (["docstring", "broken.py"], "broken.py"),
        (["docstring", "empty"], "empty"),
        (["docstring", "plain.txt"], "plain.txt"),
        (["dictionary", "nowhere.csv"], "nowhere.csv"),
        (["dictionary", "empty"], "empty"),
        (["dictionary", "broken.json"], "broken.json"),
        (["dictionary", "oracle://host/db"], "oracle"),
        (["dictionary", "sqlite:///nowhere.db"], "nowhere.db"),
        (["dictionary", "postgresql://me:hunter2@127.0.0.1:1/db"], "127.0.0.1:1"),
        (["dictionary", "a.csv", "sqlite:///x.db"], "one database URL"),
        (["embedding", "nowhere"], "nowhere"),
        (["embedding", "empty"], "empty"),
        (["embedding"], "name at least one path"),
        (["embedding", "texts.md", "--param", "temperature=1"], "no parameter temperature"),
        (["embedding", "texts.md", "--param", "dimensions=many"], "dimensions"),
        (["embedding", "texts.md", "--overlap", "300"], "overlap"),
        (["prompt", "nowhere.jsonl"], "nowhere.jsonl"),
        (["prompt", "broken.json"], "broken.json"),
        (["prompt", "ask.jsonl", "--template", "{{ nothing }}"], "nothing"),
        (["prompt", "ask.jsonl", "--template", "{{ open"], "template"),
        (["prompt", "ask.jsonl", "--schema", "nowhere.json"], "nowhere.json"),
        (["prompt", "ask.jsonl", "-p", "nobody"], "unknown provider 'nobody'"),
        (["prompt", "ask.jsonl", "-p", "anthropic"], "provider anthropic has no key"),
        (["prompt", "ask.jsonl", "--param", "temperature"], "'temperature' is not k=v"),
        (["prompt", "ask.jsonl", "--param", "a=1", "--param", "a=2"], "a is given twice"),
        (["prompt", "ask.jsonl", "--budget", "-1"], "--budget"),
        (["prompt", "ask.jsonl", "--budget", "nan"], "--budget"),
        (["prompt", "ask.jsonl", "--budget", "1", "-m", "home-made"], "no price is known for openai/home-made"),
        (["prompt", "ask.jsonl", "--on-open", "nonsense"], "--on-open"),
        (["prompt", "ask.jsonl", "-n", "a name"], "name: "),
        (["prompt", "ask.jsonl", "--samples", "0"], "--samples"),
        (["nowhere.toml"], "nowhere.toml: No such file"),
        (["broken.toml"], "broken.toml is not TOML"),
        (["strange.toml"], "strange.toml: colour: Extra inputs"),
        (["unknown.toml"], "unknown kind 'poem'"),
        (["nobody.toml"], "unknown provider 'nobody'"),
        (["poem", "x"], "No such command 'poem'"),
    ],
)
def test_an_input_that_cannot_be_used_is_named_and_no_sweep_is_made(
    world: World, refused: Refused, words: list[str], said: str
) -> None:
    _inputs(world)
    extra = [] if words[0].endswith(".toml") or "-n" in words or words[0] == "poem" else ["-n", "bad-input"]
    message = refused("submit", *words, *extra)
    assert said in message
    assert "hunter2" not in message


def _inputs(world: World) -> None:
    folder = world.folder
    if (folder / "empty").exists():
        return
    (folder / "broken.py").write_text("def broken(:\n")
    (folder / "plain.txt").write_text("no code\n")
    (folder / "broken.json").write_text('{"a": ')
    (folder / "texts.md").write_text("# Text\n\nSome text.\n")
    (folder / "broken.toml").write_text("kind = \n")
    target = 'targets = [{ provider = "openai", model = "gpt-4o-mini" }]\nsource = { path = "ask.jsonl" }\n'
    (folder / "strange.toml").write_text(f'kind = "prompt"\ncolour = "red"\n{target}')
    (folder / "unknown.toml").write_text(f'kind = "poem"\n{target}')
    (folder / "nobody.toml").write_text(f'kind = "prompt"\n{target}'.replace("openai", "nobody"))
    world.file("ask.jsonl", *PROMPTS)
    (folder / "empty").mkdir()


def test_what_was_refused_has_left_no_sweep(world: World) -> None:
    assert not [found for found in world.sweep("ls", "--json").json() if found["name"] == "bad-input"]


def test_files_that_cannot_be_read_are_named_and_the_others_go_on(world: World) -> None:
    folder = world.folder / "mixed"
    folder.mkdir()
    (folder / "good.py").write_text("def good() -> int:\n    return 1\n")
    (folder / "bad.py").write_text("def bad(:\n")
    told = world.sweep("submit", "docstring", "mixed", "-n", "mixed", "--watch", code=1)
    assert "left out: bad.py: does not parse" in told.err
    assert "1 done" in told.out


def test_a_name_that_is_taken_by_another_spec_is_refused_and_tells_the_difference(
    world: World, refused: Refused
) -> None:
    world.file("taken.jsonl", *PROMPTS[:1])
    world.sweep("submit", "prompt", "taken.jsonl", "-n", "taken", "--watch")
    message = refused("submit", "prompt", "taken.jsonl", "-n", "taken", "--samples", "2")
    assert "exists with another spec: samples is 1, now 2" in message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["worker", "-p", "nobody"], "unknown provider 'nobody'"),
        (["worker", "-p", "anthropic"], "provider anthropic has no key"),
        (["demo", "--provider", "anthropic"], "provider anthropic has no key"),
        (["demo", "--src", "nowhere.py"], "nowhere.py"),
        (["simulate", "--fail", "nonsense"], "unknown fault 'nonsense'"),
        (["simulate", "--host", "192.0.2.1"], "192.0.2.1"),
    ],
)
def test_a_program_that_cannot_start_says_why(world: World, words: list[str], said: str) -> None:
    assert said in refused_outside(world, *words)


@pytest.fixture(scope="session")
def one(world: World) -> World:
    """The world with a finished sweep of one prompt, called `one`."""
    world.file("one.jsonl", *PROMPTS[:1])
    world.sweep("submit", "prompt", "one.jsonl", "-n", "one", "--watch")
    return world


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "nothing"], "no sweep is called 'nothing'"),
        (["watch", "nothing"], "no sweep is called 'nothing'"),
        (["export", "nothing"], "no sweep is called 'nothing'"),
        (["cancel", "nothing"], "no sweep is called 'nothing'"),
        (["apply", "nothing"], "no sweep is called 'nothing'"),
        (["prune", "nothing"], "no sweep is called 'nothing'"),
        (["export", "one", "-f", "poem"], "prompt has no format 'poem'"),
        (["export", "one", "-o", "no/such/folder/out"], "no/such/folder"),
        (["export", "one", "-o", "."], " is a directory"),
        (["apply", "one"], "is of kind prompt"),
        (["search", "x", "--sweep", "one"], "has no vectors"),
        (["study", "series", "--bucket", "fortnight"], "fortnight"),
        (["resume", "one"], "is done"),
        (["resume", "one", "--budget", "nan"], "--budget"),
        (["stats"], "No such command 'stats'"),
    ],
)
def test_a_command_that_makes_no_sense_says_so(one: World, refused: Refused, words: list[str], said: str) -> None:
    assert said in refused(*words)


def test_an_argument_that_is_no_text_is_shown_as_it_is(world: World) -> None:
    done = subprocess.run(
        [BIN / "sweep", "submit", "docstring", b"caf\xe9.py"], env=dict(world.env), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert rb"the argument caf\xe9.py is not UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WORKER_SLOTS=many", "setting WORKER_SLOTS"),
        ("OPENAI_MAX_RETRY_ATTEMPTS=0", "setting OPENAI_MAX_RETRY_ATTEMPTS"),
        ("OPENAI_REQUEST_TIMEOUT=soon", "setting OPENAI_REQUEST_TIMEOUT"),
    ],
)
def test_a_bad_setting_is_named(world: World, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / ".env").write_text(line)
    (tmp_path / "ask.jsonl").write_text('{"prompt": "x"}')
    told = world.sweep("submit", "prompt", "ask.jsonl", code=2, cwd=tmp_path)
    assert said in told.err
    assert ".env.example" in told.err


# ---- servers


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
