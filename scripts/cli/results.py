"""What came out: export, apply, search, report, prune."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="the sweep's name")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command, example in (
        (export, "sweep export docs -f patch -o docs.patch"),
        (apply, "sweep apply docs --diff | less"),
        (search, 'sweep search "how do I retry a failed task?" -k 5'),
        (report, "sweep report docs --json"),
        (prune, "sweep prune old-docs --dry-run"),
    ):
        app.command(epilog=f"Example: {example}")(command)


def export(
    name: Name,
    *,
    fmt: Annotated[str, typer.Option("--format", "-f", help="jsonl, or one of the kind's own formats")] = "jsonl",
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="a file or directory; - for standard output, as jsonl goes by default"),
    ] = None,
) -> None:
    """Writes a sweep's results, in input order; by default to standard output or a file named after the sweep."""
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


def prune(
    name: Annotated[str | None, typer.Argument(help="an embedding sweep; default: all vectors no job needs")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count them, delete nothing")] = False,
) -> None:
    """Deletes vectors: of a sweep that is over, or those that no job needs. What other sweeps share stays."""
    from db.engine import connect
    from db.vector_audit import prune as delete
    from scripts.cli import render
    from scripts.cli.context import connected

    engine = connect(connected().database_url, role="producer", pool=1)
    try:
        count = delete(engine, sweep=name, dry_run=dry_run)
    finally:
        engine.dispose()
    render.talk(f"{count:,} vectors {'would be deleted' if dry_run else 'deleted'}")
