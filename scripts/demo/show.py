"""The demo's table: a line a sweep, where its result lies, and what a search finds."""

from collections.abc import Sequence

from rich.table import Table

from scripts.cli.plain import one_line
from scripts.cli.render import spent, stdout
from workers.observer import SweepView
from workers.search import Hit


def show(views: Sequence[SweepView], places: Sequence[str], hits: Sequence[Hit]) -> None:
    """Prints the result."""
    console = stdout()
    console.print(_table(views))
    for view, place in zip(views, places, strict=True):
        console.print(f"{view.status.kind}: {place}", highlight=False, markup=False)
    for hit in hits:
        console.print(
            f"  {hit.score:.3f}  {one_line(hit.key)}: {one_line(hit.text[:300])[:90]}", highlight=False, markup=False
        )


def _table(views: Sequence[SweepView]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sweep", "done", "cached", "failed", "calls", "tokens", "cost", "calls/s"):
        table.add_column(column, justify="left" if column == "sweep" else "right")
    for view in views:
        s = view.status
        seconds = (s.finished_at - s.created_at).total_seconds() if s.finished_at else 0.0
        table.add_row(
            s.name,
            *(f"{count:,}" for count in (s.done, s.cached, s.failed, s.calls, s.tokens.total)),
            spent(s.cost_usd, s.cost_usd_max),
            f"{s.calls / seconds:.1f}" if seconds else "-",
        )
    return table
