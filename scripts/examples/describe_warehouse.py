"""Describes every column of a database and prints what was found.

python -m scripts.examples.describe_warehouse sqlite:///shop.db
"""

import sys

from core.settings import default_model
from core.sweep import SweepSpec, Target
from scripts.cli.context import connected
from tasks import producer
from tasks.results import read


def main(url: str, provider: str = "openai") -> int:
    """One job a column; the sweep's name makes a second run go on instead of starting again."""
    database_url = connected().database_url
    spec = SweepSpec(
        name="describe-warehouse",
        kind="dictionary",
        source={"url": url},
        targets=(Target(provider=provider, model=default_model(provider)),),
    )
    submitted = producer.submit(database_url, spec)
    status = producer.wait(database_url, submitted.name)
    for row in read(database_url, submitted.name):
        print(f"{row.key}: {row.result['description'] if row.result else row.error}")
    return 1 if status.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
