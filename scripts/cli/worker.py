"""`sweep worker`: one or more worker processes in the foreground."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: sweep worker --provider openai --processes 4")(worker)


def worker(
    *,
    provider: Annotated[list[str], typer.Option("--provider", "-p", help="whose queue to work on (repeatable)")],
    processes: Annotated[int, typer.Option(min=1, max=256, help="worker processes")] = 1,
    slots: Annotated[int | None, typer.Option(min=1, max=64, help="chunks in work at once, a process")] = None,
) -> None:
    """Works until it is stopped. Start more of them, on any machine, to go faster up to the provider's quota."""
    from core.settings import RULES
    from scripts.cli.context import connected
    from scripts.cli.fleet import run

    loaded = connected()
    for name in provider:
        if name != RULES:
            loaded.provider(name)
    raise typer.Exit(run(loaded, provider, processes=processes, slots=slots))
