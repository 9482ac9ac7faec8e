"""What a command says when it fails."""

import sys
import tempfile
import traceback
from pathlib import Path

from core.errors import InputError, Unavailable

BAD_INPUT = 2


def report(exc: BaseException) -> int:
    """Says in one message what went wrong and what to do, and returns the exit code."""
    match exc:
        case InputError(message=message, hint=hint):
            _say(message, hint)
        case Unavailable():
            _say(str(exc), "see `sweep doctor`")
        case PermissionError() | FileNotFoundError() | IsADirectoryError() | NotADirectoryError():
            _say(f"{exc.filename or 'a file'}: {exc.strerror}", "")
        case OSError():
            _say(f"{exc.strerror or exc}", "is the disk full? see `sweep doctor`")
        case _:
            with tempfile.NamedTemporaryFile("w", prefix="sweep-", suffix=".log", delete=False) as log:
                traceback.print_exception(exc, file=log)
            _say(f"this is a defect of llmsweep: {type(exc).__name__}: {exc}", f"please report {Path(log.name)}")
    return BAD_INPUT


def _say(message: str, hint: str) -> None:
    sys.stderr.write(f"sweep: {message}\n" + (f"       {hint}\n" if hint else ""))
