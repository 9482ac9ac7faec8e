"""Looking at sweeps and steering them: ls, status, watch, pause, resume, cancel, retry."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="the sweep's name")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (ls, status, watch, pause, resume, cancel, retry):
        app.command()(command)


def ls(*, json: Json = False) -> None:
    """All sweeps, the newest first."""
    from scripts.cli import render, view
    from scripts.cli.context import connected

    with view.opened(connected()) as reader:
        statuses = reader.all()
    render.data([view.as_json(status) for status in statuses]) if json else render.table(statuses)


def status(name: Name, *, json: Json = False) -> None:
    """Where a sweep stands: counts, tokens, cost, rate, and its providers' gates."""
    from scripts.cli import render, view
    from scripts.cli.context import connected

    with view.opened(connected()) as reader:
        found = reader.one(name)
    render.data(view.as_json(found)) if json else render.status(found)
    raise typer.Exit(view.exit_code(found))


def watch(name: Name) -> None:
    """Follows a sweep until it no longer runs."""
    from scripts.cli import view
    from scripts.cli.context import connected
    from scripts.cli.progress import follow

    with view.opened(connected()) as reader:
        (found,) = follow(reader, [name])
    raise typer.Exit(view.exit_code(found))


def pause(name: Name) -> None:
    """Stops sending; what is in flight ends, nothing is lost."""
    _steer("pause", name)


def resume(
    name: Name, *, budget: Annotated[float | None, typer.Option(help="a new cap in USD, spent money included")] = None
) -> None:
    """Goes on, after a pause or with a higher budget."""
    _steer("resume", name, budget_usd=budget)


def cancel(name: Name) -> None:
    """Ends a sweep: no new call a second later; its pending jobs become cancelled."""
    _steer("cancel", name)


def retry(
    name: Name,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="jobs that failed")] = False,
    fallbacks: Annotated[bool, typer.Option("--fallbacks", help="jobs that were answered by rule")] = False,
) -> None:
    """Reopens jobs; without an option: the failed ones."""
    _steer("retry", name, failed=failed or not fallbacks, fallbacks=fallbacks)


def _steer(verb: str, name: str, **options: object) -> None:
    from db import control, engine
    from scripts.cli import render
    from scripts.cli.context import connected

    database = engine.connect(connected().database_url, role="producer")
    try:
        answer = getattr(control, verb)(database, name, **options)
    finally:
        database.dispose()
    render.talk(str(answer))
