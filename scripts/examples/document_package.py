"""Writes docstrings for an installed package and saves them as a patch.

python -m scripts.examples.document_package flower docstrings.patch
"""

import sys
from pathlib import Path

from core.settings import default_model
from core.sweep import SweepSpec, Target
from scripts.cli.context import connected
from tasks import producer
from tasks.results import export


def main(package: str, patch: str, provider: str = "openai") -> int:
    """One job a function, method or class that has no docstring."""
    database_url = connected().database_url
    spec = SweepSpec(
        name=f"document-{package}",
        kind="docstring",
        source={"paths": [package]},
        options={"style": "google"},
        targets=(Target(provider=provider, model=default_model(provider)),),
    )
    submitted = producer.submit(database_url, spec)
    status = producer.wait(database_url, submitted.name)
    print(export(database_url, submitted.name, "patch", Path(patch)))
    return 1 if status.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
