"""A worker whose ``prompt`` kind dies of one job, as of a crash in a C extension or of the OOM killer."""

import os
import signal
import sys
from collections.abc import Sequence

from core.model import ChatRequest, Job, JsonObject, Variant
from tasks import prompt
from tasks.prompt.kind import PromptKind
from workers.main import main

_DEADLY = "poison: question 7?"


class _Poisonous(PromptKind):
    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:
        if job.input["row"]["prompt"] == _DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().request(job, variant, options)


def run(argv: Sequence[str]) -> int:
    """``workers.main`` with that kind."""
    prompt.KIND = _Poisonous()
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
