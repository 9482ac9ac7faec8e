"""Tokens are counted offline, and exactly for the models whose tokenizers are public."""

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import tokens
from core.model import Message, ResponseSchema

CODE = "from core import tokens; print(tokens.count('hello world', 'gpt-4'), tokens.count('hello world', 'gpt-4o'))"
ROOT = Path(__file__).parents[2]
CL100K = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: tiktoken keeps what it has loaded."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}  # noqa: TID251  the child's, not ours
    # Any attempt to resolve a name fails at once, and loudly.
    offline = "import socket\ndef no(*a, **k): raise RuntimeError('network')\nsocket.getaddrinfo = no\n"
    return subprocess.run(
        [sys.executable, "-c", offline + code], env=kept | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("model", "encoding", "assumed"),
    [
        ("gpt-4o-mini", "o200k_base", False),
        ("gpt-4", "cl100k_base", False),
        ("gpt-35-turbo", "cl100k_base", False),
        ("text-embedding-3-small", "cl100k_base", False),
        ("openai/gpt-4o", "o200k_base", False),
        ("gpt-oss-20b", "o200k_harmony", False),
        ("llama-3.3-70b", "o200k_base", True),
        ("davinci", "o200k_base", True),
        ("", "o200k_base", True),
    ],
)
def test_every_model_has_an_encoding_known_or_assumed(model: str, encoding: str, *, assumed: bool) -> None:
    found, is_assumed = tokens.encoding_for(model)
    assert (found.name, is_assumed) == (encoding, assumed)


def test_an_assumed_encoding_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        tokens.count("some text", "a-model-that-nobody-knows-1")
    assert [record.getMessage() for record in caplog.records if "nobody-knows-1" in record.getMessage()] == [
        "no tokenizer known for model a-model-that-nobody-knows-1, counting with o200k_base"
    ]


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("漢字", 2), ("\0\0", 1), ("🙂", 1)]
)
def test_a_text_has_the_tokens_that_the_model_sees(text: str, count: int) -> None:
    assert tokens.count(text, "gpt-4o") == count


def test_messages_cost_three_tokens_each_and_three_for_the_reply() -> None:
    # The cookbook's example for gpt-4o counts 124 for its six named messages; unnamed ones carry 3 + role + content.
    messages = (Message(role="system", content="hello world"), Message(role="user", content="hello"))
    assert tokens.count_messages(messages, "gpt-4o") == (3 + 1 + 2) + (3 + 1 + 1) + 3


def test_a_schema_adds_its_share() -> None:
    messages = (Message(role="user", content="hello"),)
    schema = ResponseSchema(name="answer", json={"type": "object", "properties": {"a": {"type": "string"}}})
    assert tokens.count_messages(messages, "gpt-4o", schema) > tokens.count_messages(messages, "gpt-4o") + 10


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0"])
def test_endless_white_space_is_counted_and_does_not_break_the_tokenizer(blank: str) -> None:
    assert tokens.count(f"a{blank * 1_000_000}b", "gpt-4o") > 100


@pytest.mark.parametrize(
    "text", ["hello world, this is a sentence", "漢字かな交じり文", "🙂🙃🙂🙃", "a b\n\n\nc", "naïve café"]
)
@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 100])
def test_truncation_keeps_the_longest_start_that_fits(text: str, most: int) -> None:
    cut = tokens.truncate(text, most, "gpt-4o")
    assert text.startswith(cut)
    assert tokens.count(cut, "gpt-4o") <= most
    assert cut == text or tokens.count(text, "gpt-4o") > most


def test_rank_files_are_unpacked_where_the_user_says(tmp_path: Path) -> None:
    done = run(CODE, TIKTOKEN_CACHE_DIR=str(tmp_path / "ranks"), HOME=str(tmp_path))
    assert (done.stdout.split(), done.returncode) == (["2", "2"], 0), done.stderr
    assert sorted(path.name for path in (tmp_path / "ranks").iterdir()) == sorted(
        name for name, _ in tokens._RANKS.values()
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "ranks"]


def test_the_users_cache_directory_is_the_default(tmp_path: Path) -> None:
    assert run(CODE, HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / ".cache/llmsweep/tiktoken" / CL100K).exists()


@pytest.mark.parametrize("home", ["", "/", "/proc/nowhere", "/dev/null"])
def test_without_a_home_that_can_be_written_a_private_directory_serves(tmp_path: Path, home: str) -> None:
    done = run(CODE, HOME=home, TMPDIR=str(tmp_path))
    assert (done.stdout.split(), done.returncode) == (["2", "2"], 0), done.stderr
    [private] = tmp_path.iterdir()
    assert private.stat().st_mode & 0o077 == 0


def test_a_damaged_rank_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / CL100K).write_bytes(b"damaged")
    done = run(CODE, TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / CL100K).read_bytes()).hexdigest() == tokens._RANKS["cl100k_base"][1]


def test_many_processes_may_unpack_at_the_same_time(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", CODE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[0].split() for process in started] == [["2", "2"]] * 4
    assert len(list(tmp_path.iterdir())) == 2
