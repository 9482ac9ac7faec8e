"""`sweep study`: all calls, whatever sweep they belong to."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="All calls, whatever sweep they belong to.",
    epilog="Example: sweep study compare --json",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="for machines")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="how many")]
Provider = Annotated[str | None, typer.Option(help="only this one")]


@app.command()
def summary(*, json: Json = False) -> None:
    """Totals over all calls."""
    from db import study

    _show(lambda engine: [study.summary(engine)], json=json)


@app.command()
def compare(*, json: Json = False) -> None:
    """Providers and models side by side: calls, failures, tokens, latency, cost."""
    from db import study

    _show(study.compare, json=json)


@app.command()
def recent(*, limit: Limit = 20, provider: Provider = None, json: Json = False) -> None:
    """The newest calls."""
    from db import study

    _show(lambda engine: study.recent(engine, limit=limit, provider=provider), json=json)


@app.command()
def series(
    *,
    days: Annotated[float, typer.Option(min=0, help="how far back")] = 7,
    bucket: Annotated[str, typer.Option(help="day, hour or minute")] = "day",
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Calls over time."""
    from typing import cast

    from db import study

    _show(lambda engine: study.series(engine, days=days, bucket=cast("Any", bucket), provider=provider), json=json)


@app.command()
def prompts(
    text: Annotated[str, typer.Argument(help="part of a prompt")], *, limit: Limit = 20, json: Json = False
) -> None:
    """Calls whose request holds a text."""
    from db import study

    _show(lambda engine: study.search(engine, text, limit=limit), json=json)


def _show(ask: Callable[[Any], Sequence[Any]], *, json: bool) -> None:
    from dataclasses import asdict

    from db.engine import connect
    from scripts.cli import render
    from scripts.cli.context import connected

    engine = connect(connected().database_url, role="reader", pool=1)
    try:
        found = [asdict(row) for row in ask(engine)]
    finally:
        engine.dispose()
    if json:
        render.data(found)
    else:
        render.stdout().print(render.rows(found))
