"""``python -m scripts.simulator``: the command without the rest of the tool."""

import sys

import typer

from core.errors import InputError
from scripts.cli.simulate import simulate


def main() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(simulate)
    try:
        app()
    except InputError as exc:
        print(f"{exc.message}\n{exc.hint}".strip(), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
