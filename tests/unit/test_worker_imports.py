"""What an idle worker carries: every module is paid for once a process, in memory and in the time to its first call."""

import subprocess
import sys

ELSEWHERE = {
    "alembic": "migrating",
    "arro3": "exporting",
    "celery.bin": "Celery's command line",
    "flower": "watching",
    "openai": "the control plane",
    "tiktoken": "counting tokens",
    "typer": "our command line",
}


STARTED = """
import sys, workers.main, celery.apps.worker
from tasks.registry import kind
kind("prompt"), kind("embedding")
print(*sys.modules)
"""


def test_a_worker_starts_without_what_only_others_use() -> None:
    told = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) & set(ELSEWHERE) == set()
