"""What came out: export, apply, search, report, study."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="the sweep's name")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (export, apply, search, report):
        app.command()(command)


def export(
    name: Name,
    *,
    fmt: Annotated[str, typer.Option("--format", "-f", help="jsonl, or one of the kind's own formats")] = "jsonl",
    out: Annotated[Path, typer.Option("--output", "-o", help="a file or directory; - for standard output")] = Path("-"),
) -> None:
    """Writes a sweep's results, in input order."""
    from scripts.cli import render
    from scripts.cli.context import connected
    from tasks.results import export as write

    render.talk(write(connected().database_url, name, fmt, out))


def apply(
    name: Name,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="print the patch, change nothing")] = False,
) -> None:
    """Writes a docstring sweep's results into the source. Files that changed since are refused."""
    from scripts.cli.applying import run
    from scripts.cli.context import connected

    raise typer.Exit(run(connected().database_url, name, diff=diff))


def search(
    text: Annotated[str, typer.Argument(help="what to look for")],
    *,
    sweep: Annotated[str | None, typer.Option(help="only this sweep's vectors")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="how many")] = 10,
    json: Json = False,
) -> None:
    """The documents nearest to a text, among all that embedding sweeps have brought."""
    from scripts.cli import render
    from scripts.cli.context import connected
    from workers.search import search as find

    hits = find(connected(), text, sweep=sweep, k=k)
    if json:
        render.data([{"key": hit.key, "score": hit.score, "sweep": hit.sweep, "text": hit.text} for hit in hits])
    else:
        render.stdout().print(render.hits(hits))


def report(name: Name, *, json: Json = False) -> None:
    """Tokens and cost of a sweep, by provider and model; what a crash left uncertain is an interval."""
    from dataclasses import asdict

    from db.engine import connect
    from db.results import report as count
    from scripts.cli import render
    from scripts.cli.context import connected

    engine = connect(connected().database_url, role="reader", pool=1)
    try:
        found = count(engine, name)
    finally:
        engine.dispose()
    if json:
        render.data(asdict(found))
    else:
        render.stdout().print(render.report(found))
