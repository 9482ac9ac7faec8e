"""The command line as tests use it: commands run to their end in a project of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scripts.simulator.testing import Remote

BIN = Path(sys.executable).parent
INTERRUPTIBLE = ("env", "--default-signal=INT")
"""Before a command: a shell that runs the tests in the background makes them, and all they start, ignore SIGINT."""
MODELS = ["gpt-4o-mini", "gpt-4o", "text-embedding-3-small", "meta-llama/Llama-3.3-70B-Instruct", "home-made"]
PROMPTS = [{"id": f"q{number}", "prompt": f"What is {number} plus {number}?"} for number in range(8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``folder`` is where commands run; ``env`` all that they have of an environment."""

    folder: Path
    env: Mapping[str, str]
    simulator: Remote

    def sweep(self, *words: str, code: int | None = 0, cwd: Path | None = None, **env: str) -> Told:
        """Runs a command to its end; ``code`` is what it must end with, None: anything."""
        done = subprocess.run(
            [BIN / "sweep", *words],
            cwd=cwd or self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert code in {None, done.returncode}, f"{words} ended with {done.returncode}: {done.stderr}"
        assert "Traceback" not in done.stderr
        assert "this is a defect" not in done.stderr
        return Told(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *words: str, stderr: IO[str], **env: str) -> "subprocess.Popen[str]":
        """A command that the test ends."""
        return subprocess.Popen(
            [BIN / "sweep", *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )

    def file(self, name: str, *records: Mapping[str, Any]) -> str:
        """A JSON lines file in the folder."""
        (self.folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return name


Refused = Callable[..., str]


def refused_outside(world: World, *words: str, **env: str) -> str:
    """The same, as a process of its own: for commands that handle signals, or start processes."""
    return one_message(world.sweep(*words, code=2, cwd=None, **env))


def one_message(told: Told) -> str:
    assert told.code == 2, told.err
    assert told.out == ""
    assert told.err.startswith("sweep: ")
    assert len(told.err.splitlines()) <= 3, told.err
    return told.err
