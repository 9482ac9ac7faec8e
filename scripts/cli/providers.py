"""`sweep providers`: who can be asked, for what, and how well they have answered lately."""

from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: sweep providers --json")(providers)


def providers(*, json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """What each provider that is set up can do, and how many of its calls of the last six hours were good."""
    from scripts.cli import render
    from scripts.routes import Entry, matrix

    def row(entry: Entry) -> dict[str, Any]:
        able, rate = entry.able, entry.rate
        return {
            "provider": able.place.provider,
            "model": able.place.model,
            "for": ", ".join(modality.value for modality, why in entry.why_not.items() if not why),
            "context_tokens": able.context_tokens,
            "json_schema": "enforced" if able.schema else "by prompt",
            "styles": ", ".join(sorted(able.styles)),
            "calls": rate.calls,
            "good": round(rate.good / rate.calls, 3) if rate.calls else None,
        }

    found = [row(entry) for entry in matrix()]
    if json:
        render.data(found)
    else:
        render.stdout().print(render.rows(found))
