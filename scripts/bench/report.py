"""A table on stdout and ``reports/<target>.json``: rows of what was measured, and whether it holds."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

DIRECTORY = Path("reports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured figure. ``goal`` is what it is held against, in words; ``holds`` None: measured, no goal."""

    row: str
    value: float
    unit: str
    goal: str = ""
    holds: bool | None = None


def write(target: str, rows: Sequence[Row], *, directory: Path = DIRECTORY) -> int:
    """Prints and stores the rows; 1 when one of them does not hold."""
    store(target, rows, directory=directory)
    table = Table(title=f"make {target}", box=None, pad_edge=False)
    for column in ("", "value", "unit", "goal", "holds"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in rows:
        verdict = "" if row.holds is None else "yes" if row.holds else "NO"
        table.add_row(row.row, f"{row.value:,.6g}", row.unit, row.goal, verdict)
    Console(width=160).print(table)
    return 1 if any(row.holds is False for row in rows) else 0


def store(target: str, rows: Sequence[Row], *, directory: Path = DIRECTORY) -> None:
    """Writes ``reports/<target>.json``."""
    directory.mkdir(exist_ok=True)
    content = [{**asdict(row), "holds": row.holds is not False} for row in rows]
    (directory / f"{target}.json").write_text(json.dumps(content, indent=2) + "\n")
