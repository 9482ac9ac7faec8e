"""Copies the legacy table ``inference_runs`` (LEGACY_DATABASE_URL) into this schema (DATABASE_URL), and compares both.

    .venv/bin/python -m scripts.migrate_v1_to_v2 [--check]

May run again at any time: it adds what is missing and never changes what is there. The legacy database is only read.
"""

import argparse
import sys

from core.settings import settings
from db.backfill import Parity, backfill, compare
from db.engine import connect
from db.legacy import open_legacy
from db.schema import migrate
from scripts.cli.context import connected
from scripts.cli.errors import report


def main(arguments: list[str] | None = None) -> int:
    """0: both databases hold the same; 1: they do not; 2: one of them cannot be used."""
    parser = argparse.ArgumentParser(description="Copies the legacy inference_runs into raw_calls, and compares both.")
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    check_only = parser.parse_args(arguments).check
    try:
        return _run(check_only=check_only)
    except Exception as exc:  # noqa: BLE001 - the edge: every failure becomes one message
        return report(exc)


def _run(*, check_only: bool) -> int:
    # No broker is needed here: only without a DATABASE_URL are the embedded servers.
    url = settings().database_url or connected().database_url
    migrate(url)
    engine = connect(url, role="reader", pool=1)
    try:
        with open_legacy(settings().legacy_database_url) as legacy:
            written = 0 if check_only else backfill(engine, legacy.pages())
            rows = legacy.count()
            parity = compare(engine, legacy.pages())
    finally:
        engine.dispose()
    _print(parity, written=written, rows=rows)
    return 0 if parity.holds and rows == parity.legacy else 1


def _print(parity: Parity, *, written: int, rows: int) -> None:
    print(f"legacy rows      {rows}")
    print(f"in raw_calls     {parity.found} ({written} written now)")
    print(f"missing          {parity.legacy - parity.found}")
    print(f"differing        {len(parity.differing)}{' (the first ones)' if parity.differing else ''}")
    for words in parity.differing:
        print(f"                 {words}")
    print(f"batches          {len(parity.batches)}, of the wrong size {len(parity.wrong_batches)}")
    for name, (theirs, ours) in parity.wrong_batches.items():
        print(f"                 {name}: {theirs} rows in the legacy database, {ours} here")
    if parity.first and parity.last:
        print(f"from             {parity.first.isoformat()}")
        print(f"to               {parity.last.isoformat()}")


if __name__ == "__main__":
    sys.exit(main())
