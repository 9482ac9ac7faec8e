"""Asks the same questions at several temperatures, twice each, under a budget of one dollar.

python -m scripts.examples.prompt_grid questions.jsonl
"""

import sys

from core.settings import default_model
from core.sweep import SweepSpec, Target
from scripts.cli.context import connected
from tasks import producer
from tasks.results import read


def main(path: str, provider: str = "openai") -> int:
    """Each line of the file is a JSON object with a field ``prompt``; results come in its order."""
    database_url = connected().database_url
    spec = SweepSpec(
        name="prompt-grid",
        kind="prompt",
        source={"path": path},
        targets=(Target(provider=provider, model=default_model(provider)),),
        params={"temperature": [0.0, 0.7]},
        samples=2,
        budget_usd=1.0,
        on_open="wait",
    )
    submitted = producer.submit(database_url, spec)
    status = producer.wait(database_url, submitted.name)
    for row in read(database_url, submitted.name):
        print(f"{row.key}\t{row.params['temperature']}\t{(row.result or {}).get('text', row.error)}")
    print(f"{status.calls} calls, {status.cost_usd} USD", file=sys.stderr)
    return 1 if status.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
