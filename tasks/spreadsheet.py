"""Cells that a spreadsheet program shows and never runs."""

import re
from typing import Any

_RUNS = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - Excel takes the full-width ones too
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z", re.ASCII)


def inert(value: Any) -> Any:
    """Names, comments and answers come from outside: ``=cmd()`` gets an apostrophe before it, and stays text.

    So does a text that merely begins like a formula (``- a point``); what must be exact is in the JSON exports.
    """
    runs = isinstance(value, str) and _RUNS.match(value) and not _NUMBER.match(value)
    return f"'{value}" if runs else value
