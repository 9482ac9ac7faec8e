"""What `sweep apply` does."""

import sys

from core.errors import InputError
from db import progress, results
from db.engine import connect
from scripts.cli import render
from tasks.docstring.apply import apply, patch


def run(database_url: str, name: str, *, diff: bool) -> int:
    """Writes, or shows as a patch, a docstring sweep's results; 1 when something was refused. Raises InputError."""
    engine = connect(database_url, role="reader", pool=1)
    try:
        found = progress.status(engine, name)
        if found.kind != "docstring":
            raise InputError(f"sweep {name} is of kind {found.kind}", hint="`sweep apply` is for docstrings")
        rows = results.rows(engine, name)
        if diff:
            content, report = patch(rows)
            sys.stdout.buffer.write(content)
        else:
            report = apply(rows)
    finally:
        engine.dispose()
    for skipped in report.skipped:
        render.talk(f"refused: {skipped.where}: {skipped.reason}")
    render.talk(f"{report.inserted} docstrings in {len(report.files)} files, {report.present} were there already")
    return 1 if report.skipped else 0
