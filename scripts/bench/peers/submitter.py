"""Our own producer, alone in its process so that its memory can be seen.

``... DATABASE JOBS MODEL [NAME [WORD [PROMPTS]]]``: the sweep's name, a word in every prompt, how many differ.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from core.sweep import SweepSpec, Target
from scripts.bench.peers.measure import Measured, cpu_s, tell
from scripts.bench.usage import peak_rss_mb
from tasks import producer


def main(database: str, jobs: int, model: str, name: str = "", word: str = "submitted", prompts: str = "") -> Measured:
    distinct = int(prompts or jobs)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "prompts.jsonl")
        with path.open("w") as file:
            file.writelines(
                json.dumps({"id": f"{n:08}", "prompt": f"{word} question {n % distinct}?"}) + "\n" for n in range(jobs)
            )
        spec = SweepSpec(
            name=name or f"submitted-{jobs}",
            kind="prompt",
            source={"path": str(path)},
            targets=(Target(provider="openai", model=model),),
        )
        cpu, wall = cpu_s(), time.perf_counter()
        submitted = producer.submit(database, spec)
        cpu, wall = cpu_s() - cpu, time.perf_counter() - wall
    return Measured(calls=submitted.jobs, cpu_s=cpu, wall_s=wall, rss_mb=peak_rss_mb())


if __name__ == "__main__":
    tell(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
