"""``sweep``: the one command. stdout is data, stderr is talk; 0 all done, 1 some failed, 2 bad input, 3 parked."""

import io
import os
import sys

import typer

from scripts.cli import cache, demo, providers, results, servers, simulate, study, submit, sweeps, worker

app = typer.Typer(
    name="sweep",
    help="Run large LLM sweeps: nothing lost, nothing paid twice, never over the quota.",
    epilog="Start with `sweep demo`. Exit codes: 0 all done, 1 some jobs failed, 2 bad input, 3 parked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for _module in (demo, servers, worker, submit, sweeps, results, providers, simulate):
    _module.register(app)
app.add_typer(study.app, name="study")
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Runs a command; errors that a person can mend become one message and exit code 2, never a traceback."""
    _open_streams()
    sys.exit(_flushed(run(sys.argv[1:])))


def run(words: list[str]) -> int:
    """Runs a command line; returns its exit code."""
    try:
        _require_text(words)
        # Not app(): it would end a closed pipe with 1, and frame its messages.
        with typer.main.get_command(app).make_context("sweep", words) as context:
            context.command.invoke(context)
            sys.stdout.flush()
    except typer.Exit as exc:
        return exc.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return 0  # `sweep export ... | head`: the reader has what it wanted
    except Exception as exc:  # noqa: BLE001 - the outermost edge
        from scripts.cli.errors import report

        return report(exc)
    return 0


def _open_streams() -> None:
    """A stream may be closed (`>&-`), or speak an encoding that lacks our characters."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _require_text(words: list[str]) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as exc:
            shown = os.fsencode(word).decode(errors="backslashreplace")
            raise typer.BadParameter(f"the argument {shown} is not UTF-8; name the directory of such a file") from exc


def _flushed(code: int) -> int:
    """Whoever reads us may be gone, or the disk full: Python must not stumble over that once more at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
