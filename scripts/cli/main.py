"""``sweep``: the one command. stdout is data, stderr is talk; 0 all done, 1 some failed, 2 bad input, 3 parked."""

import sys

import typer

from scripts.cli import demo, results, servers, simulate, study, submit, sweeps, worker

app = typer.Typer(
    name="sweep",
    help="Run large LLM sweeps: nothing lost, nothing paid twice, never over the quota.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for _module in (demo, servers, worker, submit, sweeps, results, simulate):
    _module.register(app)
app.add_typer(study.app, name="study")


def main() -> None:
    """Runs a command; errors that a person can mend become one message and exit code 2, never a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # `sweep export ... | head`: the reader has what it wanted.
        sys.stderr.close()
        sys.exit(0)
    except Exception as exc:  # noqa: BLE001 - the outermost edge
        from scripts.cli.errors import report

        sys.exit(report(exc))
