"""Bad input: one clear message that says what, where and what to do, exit code 2, and nothing half-written."""

import subprocess
from pathlib import Path

import pytest

from tests.commands import BIN, PROMPTS, Refused, World, refused_outside


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
    (folder / "good.py").write_text("from other import helper\n\ndef good() -> int:\n    return helper()\n")
    (folder / "other.py").write_text("from good import good\n\ndef helper() -> int:\n    return good()\n")
    (folder / "bad.py").write_text("def bad(:\n")
    (folder / "binary.py").write_bytes(b"\x7fELF\0\1\2")
    (folder / "latin.py").write_bytes(b"x = '\xe9'\n")
    (folder / "claims.py").write_bytes(b"# coding: nonsense\nx = 1\n")
    (folder / "empty.py").touch()
    with (folder / "huge.py").open("wb") as file:
        file.truncate(100 << 20)
    told = world.sweep("submit", "docstring", "mixed", "-n", "mixed", "--watch", code=1)
    assert "left out: bad.py: does not parse" in told.err
    assert "left out: binary.py: holds NUL bytes" in told.err
    assert "left out: latin.py: cannot be decoded" in told.err
    assert "left out: claims.py: cannot be decoded" in told.err
    assert "left out: huge.py: larger than 1,000,000 bytes" in told.err
    assert "left out: empty.py" not in told.err
    assert "2 done" in told.out


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
