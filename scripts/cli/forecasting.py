"""`sweep submit ... --simulate`: what a sweep would take and cost. stdout is the answer, stderr talk."""

from collections.abc import Callable

import typer
from rich.markup import escape
from rich.table import Table

from core.errors import InputError, Unavailable
from core.settings import settings
from core.sweep import SweepSpec
from scripts import embedded
from scripts.cli import render
from scripts.cli.common import Wish
from scripts.forecast.assume import read
from scripts.forecast.run import Servers, forecast
from scripts.forecast.values import Forecast, Span, Told


def show(spec: SweepSpec, wish: Wish) -> None:
    """Prints the forecast. Raises InputError."""
    given = read(wish.assume, workers=wish.workers)
    found, problems = forecast(spec, given, _servers())
    for problem in problems:
        render.talk(f"left out: {problem.where}: {problem.what}")
    render.talk("simulated; nothing was stored, no provider was asked")
    if wish.json:
        render.data(found.as_json())
    else:
        render.stdout().print(_answer(found), _assumptions(found.told))
    for note in found.notes:
        render.talk(f"- {note}")
    if any(not problem.by_design for problem in problems):
        raise typer.Exit(1)


def _servers() -> Servers:
    """Those that are there already: a forecast starts nothing."""
    loaded = settings()
    try:
        urls = embedded.resolve(loaded, start=False)
    except (InputError, Unavailable):
        return Servers(database_url=loaded.database_url)
    redis_url = urls["REDIS_URL"]
    return Servers(database_url=urls["DATABASE_URL"], broker_url=loaded.broker_url or redis_url, redis_url=redis_url)


def _answer(found: Forecast) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    cost = "unknown" if found.cost_usd is None else _between(found.cost_usd, render.usd)
    rows = [
        ("sweep", f"{found.name}: {found.jobs:,} jobs"),
        ("time", _between(found.duration_s, _clock)),
        ("cost", cost),
        ("calls", f"{found.calls:,.0f}, {found.failed_calls:,.0f} failed"),
        ("jobs", f"{found.cached_jobs:,.0f} answered already, {found.failed_jobs:,.0f} would fail"),
        ("tokens", f"{found.prompt_tokens:,.0f} prompt, {found.completion_tokens:,.0f} completion"),
        ("rate", f"{found.rate_per_s:,.1f} jobs a second, bound by {found.bound_by}"),
        ("", ", ".join(f"{name} {share:.0%}" for name, share in found.use.items())),
        ("from", f"{found.runs} runs of {found.simulated_jobs:,} jobs; intervals hold 90 % of them"),
    ]
    for name, text in rows:
        table.add_row(name, escape(text))
    return table


def _assumptions(told: tuple[Told, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="it rests on", title_justify="left")
    for column in ("figure", "value", "unit", "source"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for each in told:
        value = "none" if each.value is None else f"{each.value:,.4g}" if each.value < 1000 else f"{each.value:,.0f}"
        table.add_row(escape(each.name), value, each.unit, escape(each.source))
    return table


def _between(span: Span, shown: Callable[[float], str]) -> str:
    return f"{shown(span.value)}  ({shown(span.low)} to {shown(span.high)})"


def _clock(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:.1f} days"
