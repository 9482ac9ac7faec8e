"""What a command says when it fails."""

import errno
import sys
import tempfile
import traceback
from pathlib import Path

from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError

from core.errors import InputError, Unavailable
from scripts.cli.plain import plain

BAD_INPUT = 2

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def report(exc: BaseException) -> int:
    """Says in one message what went wrong and what to do, and returns the exit code."""
    match exc:
        case InputError(message=message, hint=hint):
            _say(message, hint)
        case NoArgsIsHelpError():
            exc.show()
        case ClickException():
            context = exc.ctx if isinstance(exc, UsageError) else None
            _say(exc.format_message(), f"see `{context.command_path if context else 'sweep'} --help`")
        case Unavailable():
            _say(str(exc), "see `sweep doctor`")
        case FileNotFoundError() if not _has_place():
            _say("the working directory is gone", "change to another one")
        case OSError():
            where = f"{exc.filename}: " if exc.filename else ""
            _say(f"{where}{exc.strerror or exc}", "make room, or write elsewhere" if exc.errno in _FULL else "")
        case _:
            _say(f"this is a defect of llmsweep: {type(exc).__name__}: {exc}", f"please report {_log(exc)}")
    return BAD_INPUT


def _has_place() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _log(exc: BaseException) -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="sweep-", suffix=".log", delete=False) as log:
            traceback.print_exception(exc, file=log)
    except OSError:
        return "it (there is no room for a log)"
    return str(Path(log.name))


def _say(message: str, hint: str) -> None:
    sys.stderr.write(f"sweep: {plain(message)}\n" + (f"       {plain(hint)}\n" if hint else ""))
