"""The faults as people read them: a line a fault."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scripts.bench.faults.judge import MEASURES, NOT_PLAYED
from scripts.bench.report import Row


def show(rows: Sequence[Row]) -> None:
    """What is asked of every fault as columns, what else was asked below it."""
    table = Table(title="make faults", box=None, pad_edge=False)
    for column in ("", *MEASURES.values(), "holds"):
        table.add_column(column, justify="left" if column in {"", "holds"} else "right")
    by_fault: dict[str, dict[str, Row]] = {}
    for row in rows:
        fault, _, measure = row.row.partition(": ")
        by_fault.setdefault(fault, {})[measure] = row
    for fault, measured in by_fault.items():
        common = [_cell(measured.get(measure)) for measure in MEASURES]
        table.add_row(fault, *common, _verdict(list(measured.values())))
        for measure, row in measured.items():
            if measure not in MEASURES:
                goal = f" ({row.goal})" if row.goal else ""
                words = f"  {measure}: {row.value:g} {row.unit}{goal}"
                table.add_row(words, *[""] * len(MEASURES), "" if row.holds is None else _verdict([row]))
    Console(width=160).print(table)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    bound = row.goal.removeprefix("<= ") if row.goal.startswith("<= ") else ""
    return f"{row.value:g}" + (f" of {bound}" if bound not in {"", "0"} else "")


def _verdict(rows: Sequence[Row]) -> str:
    if all(row.unit == NOT_PLAYED for row in rows):
        return NOT_PLAYED
    return "NO" if any(row.holds is False for row in rows) else "yes"
