"""Peers whose packages don't belong into ours: each in a virtual environment of its own, where one can be had."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.throughput.ground import Ground, NotMeasured, ms_a_call, peer

_INSTALL_S = 120.0
_CALLS = 1_000


def litellm(ground: Ground) -> None:
    """LiteLLM's acompletion, in the same run."""
    python = _environment(ground.arena.directory / "litellm", "litellm")
    found = ms_a_call(peer("litellm_calls", ground.url, _CALLS, python=python))
    ground.add("chat: LiteLLM, 256 at once, keeps nothing", found, "ms")


def _environment(directory: Path, package: str) -> str:
    """A Python that has the package. Raises NotMeasured."""
    uv, python = Path(sys.executable).with_name("uv"), directory / "bin" / "python"
    commands: Sequence[list[str | Path]] = (
        [uv, "venv", "-q", directory],
        [uv, "pip", "install", "-q", "--python", python, package],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)  # noqa: S603 - our own command
    except (OSError, subprocess.SubprocessError) as exc:
        raise NotMeasured(f"{package} cannot be installed here ({type(exc).__name__})") from exc
    return str(python)
