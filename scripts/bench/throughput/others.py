"""Peers whose packages don't belong into ours: each in a virtual environment of its own, where one can be had."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.tokens import encoding_for
from scripts.bench.ground import Ground, NotMeasured, ms_a_call, peer
from scripts.bench.throughput import chat

_INSTALL_S = 120.0
_CALLS = 1_000


def litellm(ground: Ground) -> None:
    """LiteLLM's acompletion, in the same run."""
    python = _environment(ground.arena.directory / "litellm", "litellm")
    found = ground.median("LiteLLM", lambda _: ms_a_call(peer("litellm_calls", ground.url, _CALLS, python=python)))
    ground.add("chat: LiteLLM, 256 at once, keeps nothing", found, "ms")


def cookbook(ground: Ground) -> None:
    """The OpenAI Cookbook's parallel script, as ``parareq`` ships it, in the same run."""
    python = _environment(ground.arena.directory / "cookbook", "parareq", "aiohttp", "tiktoken")
    encoding_for("gpt-4")  # unpacks the ranks, so that its tiktoken finds them offline
    found = ground.median("Cookbook", lambda _: ms_a_call(peer("cookbook", ground.url, _CALLS, python=python)))
    ground.add("chat: OpenAI Cookbook's script, appends to a file", found, "ms")
    ours = next((row.value for row in ground.rows if row.row == chat.OURS), None)
    if ours is None:
        raise NotMeasured("our own calls were not measured")
    ground.add("chat: ours against OpenAI Cookbook's script", ours / found, "x its CPU", "<= 1", holds=ours <= found)


def _environment(directory: Path, *packages: str) -> str:
    """A Python that has the packages. Raises NotMeasured."""
    uv, python = Path(sys.executable).with_name("uv"), directory / "bin" / "python"
    commands: Sequence[list[str | Path]] = (
        [uv, "venv", "-q", directory],
        [uv, "pip", "install", "-q", "--system-certs", "--python", python, *packages],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)  # noqa: S603 - our own command
    except (OSError, subprocess.SubprocessError) as exc:
        raise NotMeasured(f"{packages[0]} cannot be installed here ({type(exc).__name__})") from exc
    return str(python)
