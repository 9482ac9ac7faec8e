"""Answers for people (rich tables) and for machines (JSON). Data goes to stdout, talk to stderr."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.model import SweepState
from db.results import Report
from db.similarity import Hit
from scripts.cli.plain import one_line, plain
from workers.observer import SweepView

_COLOURS = {
    SweepState.DONE: "green",
    SweepState.RUNNING: "cyan",
    SweepState.PAUSED: "yellow",
    SweepState.BUDGET_EXHAUSTED: "yellow",
    SweepState.CANCELLED: "red",
}


def stdout() -> Console:
    """The console for answers; plain text, unwrapped, when it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=160, no_color=True)


def stderr() -> Console:
    """The console for talk."""
    return Console(stderr=True, highlight=False)


def data(value: Any) -> None:
    """JSON on stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def talk(text: str) -> None:
    """A line on stderr, without what a terminal would obey."""
    sys.stderr.write(plain(text) + "\n")


def usd(value: float | None) -> str:
    """``$0.0123``; an unknown price is not $0."""
    return "unknown" if value is None else f"${value:,.4f}"


def spent(least: float | None, most: float | None) -> str:
    """A sum of USD in short; ``>`` where some of its calls have no known price, and so no upper bound."""
    if most is not None or least is None:
        return usd(least)
    return f"> {usd(least)}" if least else usd(None)


def listing(views: Iterable[SweepView]) -> Table:
    """`sweep ls`."""
    table = _table("sweep", "kind", "state", "jobs", "done", "cached", "by rule", "failed", "calls", "cost")
    for view in views:
        s = view.status
        table.add_row(
            s.name,
            s.kind,
            f"[{_COLOURS[s.state]}]{s.state.value}[/]",
            *(f"{n:,}" for n in (s.jobs, s.done, s.cached, s.fallback, s.failed, s.calls)),
            spent(s.cost_usd, s.cost_usd_max),
        )
    return table


def details(view: SweepView) -> Table:
    """`sweep status`."""
    s = view.status
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    rows: list[tuple[str, str]] = [
        ("sweep", f"{s.name} ({s.kind})"),
        ("state", f"[{_COLOURS[s.state]}]{s.state.value}[/] {_words(s.reason)}".rstrip()),
        ("jobs", _jobs(view)),
        ("calls", f"{s.calls:,}, {s.calls_failed:,} failed, {s.calls_unknown:,} unknown"),
        ("tokens", _tokens(view)),
        ("cost", _cost(view)),
    ]
    if view.running:
        eta = "unknown" if s.eta_s is None else str(timedelta(seconds=round(s.eta_s)))
        rows.append(("speed", f"{s.rate_per_s:.1f} jobs/s, {eta} to go"))
    for name, done in s.providers.items():
        gate = view.gates.get(name)
        live = (
            "gate not reachable"
            if gate is None
            else (
                f"breaker {gate.breaker}, {gate.rpm_used:,} requests and {gate.tpm_used:,} tokens in the last minute, "
                f"{gate.in_flight:,} in flight"
            )
        )
        rows.append((name, f"{done.calls:,} calls, {done.failed:,} failed, {done.queue:,} chunks queued; {live}"))
    rows += [("problem", _words(f"{problem['where']}: {problem['what']}")) for problem in s.problems[:20]]
    for row in rows:
        table.add_row(*row)
    return table


def hits(found: Iterable[Hit]) -> Table:
    """`sweep search`."""
    table = _table("score", "document", "sweep", "text")
    for hit in found:
        table.add_row(f"{hit.score:.3f}", _words(hit.key), hit.sweep, _words(hit.text[:1000])[:200])
    return table


def rows(found: Sequence[Mapping[str, Any]]) -> Table:
    """Any rows of one shape; what is nested in them becomes columns of its own."""
    flat = [_flat(row) for row in found]
    table = _table(*(flat[0] if flat else ("nothing",)))
    for row in flat:
        table.add_row(*(_words(_cell(value)) for value in row.values()))
    return table


def _words(text: str) -> str:
    """Words from outside as they may stand in a table: no markup, no escape codes, one line."""
    return escape(one_line(text))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= value if isinstance(value, dict) and value and name == "numbers" else {name: value}
    return flat


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def report(found: Report) -> Table:
    """`sweep report`."""
    table = _table(
        "provider", "model", "done", "cached", "calls", "failed", "unknown", "prompt", "completion", "cost", "at most"
    )
    for line in found.lines:
        counts = (line.done, line.cached, line.calls, line.calls_failed, line.calls_unknown)
        tokens = (line.tokens.prompt, line.tokens.completion)
        money = (usd(line.cost_usd), usd(line.cost_usd_max))
        table.add_row(line.provider, _words(line.model), *(f"{count:,}" for count in (*counts, *tokens)), *money)
    failed = sum(line.calls_failed for line in found.lines)
    totals = (found.made + found.cached, found.cached, found.calls, failed, found.calls_unknown)
    tokens = (found.tokens.prompt, found.tokens.completion)
    money = (usd(found.cost_usd), usd(found.cost_usd_max))
    table.add_row("[bold]all[/]", "", *(f"{count:,}" for count in (*totals, *tokens)), *money)
    return table


def _jobs(view: SweepView) -> str:
    s = view.status
    return (
        f"{s.jobs:,}: {s.pending:,} pending, {s.done:,} done ({s.cached:,} cached), {s.fallback:,} by rule, "
        f"{s.failed:,} failed, {s.cancelled:,} cancelled"
    )


def _tokens(view: SweepView) -> str:
    t = view.status.tokens
    return f"{t.prompt:,} prompt ({t.cached:,} cached), {t.completion:,} completion ({t.reasoning:,} reasoning)"


def _cost(view: SweepView) -> str:
    s = view.status
    text = spent(s.cost_usd, s.cost_usd_max)
    if s.cost_usd_max is not None and s.cost_usd_max != s.cost_usd:
        text += f" to {usd(s.cost_usd_max)}"
    return text if s.budget_usd is None else f"{text} of a budget of {usd(s.budget_usd)}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 3 else "right", no_wrap=index == 0)
    return table
