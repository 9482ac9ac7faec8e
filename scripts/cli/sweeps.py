"""Looking at sweeps and steering them: ls, status, watch, pause, resume, cancel, retry."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

Name = Annotated[str, typer.Argument(help="the sweep's name")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command, example in (
        (ls, "sweep ls --json"),
        (status, "sweep status docs --json"),
        (watch, "sweep watch docs"),
        (pause, "sweep pause docs"),
        (resume, "sweep resume docs --budget 10"),
        (cancel, "sweep cancel docs"),
        (retry, "sweep retry docs --fallbacks"),
    ):
        app.command(epilog=f"Example: {example}")(command)


def ls(*, json: Json = False) -> None:
    """All sweeps, the newest first."""
    from scripts.cli import render
    from scripts.cli.context import connected
    from workers.observer import observing

    with observing(connected()) as observer:
        views = observer.all()
    if json:
        render.data([view.as_json() for view in views])
    else:
        render.stdout().print(render.listing(views))


def status(name: Name, *, json: Json = False) -> None:
    """Where a sweep stands: counts, tokens, cost, speed, and its providers' gates."""
    from scripts.cli import render
    from scripts.cli.context import connected
    from workers.observer import observing

    with observing(connected()) as observer:
        view = observer.one(name)
    if json:
        render.data(view.as_json())
    else:
        render.stdout().print(render.details(view))
    raise typer.Exit(view.exit_code)


def watch(name: Name) -> None:
    """Follows a sweep until it no longer runs."""
    from scripts.cli import render
    from scripts.cli.context import connected
    from scripts.cli.progress import follow
    from workers.observer import observing

    with observing(connected()) as observer:
        (view,) = follow(observer, [name])
    render.stdout().print(render.details(view))
    raise typer.Exit(view.exit_code)


def pause(name: Name) -> None:
    """Stops sending; what is in flight ends, nothing is lost."""
    from db import control

    _steer(lambda engine: f"{name} is {control.pause(engine, name).value}")


def resume(
    name: Name,
    *,
    budget: Annotated[float | None, typer.Option(min=0, help="a new cap in USD, spent money included")] = None,
) -> None:
    """Goes on, after a pause or with a higher budget."""
    from core.sweep import Target
    from db import control, results
    from tasks.producer import require_prices

    def go_on(engine: Any) -> str:
        if budget is not None:
            variants = results.plan_of(engine, name).variants
            require_prices(Target(provider=variant.provider, model=variant.model) for variant in variants)
        return f"{name} is {control.resume(engine, name, budget_usd=budget).value}"

    _steer(go_on)


def cancel(name: Name) -> None:
    """Ends a sweep: no new call a second later; its pending jobs become cancelled."""
    from db import control

    _steer(lambda engine: f"{name} is {control.cancel(engine, name).value}")


def retry(
    name: Name,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="jobs that failed")] = False,
    fallbacks: Annotated[bool, typer.Option("--fallbacks", help="jobs that were answered by rule")] = False,
) -> None:
    """Reopens jobs; without an option, the failed ones."""
    from core.model import SweepState
    from db import control

    def reopen(engine: Any) -> str:
        reopened = control.retry(engine, name, failed=failed or not fallbacks, fallbacks=fallbacks)
        told = f"{name}: {reopened.failed} failed jobs and {reopened.fallbacks} answered by rule are pending again"
        waits = reopened.state in {SweepState.PAUSED, SweepState.BUDGET_EXHAUSTED}
        return f"{told}; it is {reopened.state.value}, `sweep resume {name}` sends them" if waits else told

    _steer(reopen)


def _steer(act: Callable[[Any], str]) -> None:
    from db.engine import connect
    from scripts.cli import render
    from scripts.cli.context import connected

    engine = connect(connected().database_url, role="producer", pool=1)
    try:
        render.talk(act(engine))
    finally:
        engine.dispose()
