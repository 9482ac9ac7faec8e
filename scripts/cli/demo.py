"""`sweep demo`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: make demo SRC=src DB=sqlite:///shop.db DOCS=docs   or: sweep demo --provider openai")(
        demo
    )


def demo(
    *,
    provider: Annotated[str | None, typer.Option(help="a real one, instead of the simulator")] = None,
    src: Annotated[str, typer.Option(help="Python source; default: the flower package, copied aside")] = "",
    db: Annotated[str, typer.Option(help="database URL; default: the tables of llmsweep, Celery and Flower")] = "",
    docs: Annotated[str, typer.Option(help="documents; default: the installed packages' descriptions")] = "",
) -> None:
    """Docstrings, a data dictionary and embeddings, end to end, on servers that it starts and stops itself."""
    import signal
    import sys

    from core.settings import RULES, settings
    from scripts.demo.run import run
    from scripts.doctor.providers import require_provider

    # As Ctrl-C: what runs is cancelled and stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if provider and provider != RULES:
        require_provider(settings(), provider)
    raise typer.Exit(run(provider=provider, src=src, db=db, docs=docs))
