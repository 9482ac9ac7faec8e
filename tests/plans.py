"""What PostgreSQL does for the statements that our own code sends: their plans, as they were executed.

Every statement is explained on its own connection, within its own transaction if it has one, right before it runs; so
the plan is that of the real statement with its real values, in the state that it met.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2.extensions
from sqlalchemy import event
from sqlalchemy.pool import Pool

_EXPLAIN = b"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
# What stands around an explained statement, which has really run: in a transaction, and where there is none.
_WITHIN = b"SAVEPOINT unexplained", b"ROLLBACK TO unexplained; RELEASE unexplained"
_ALONE = b"BEGIN", b"ROLLBACK"
_NEXT = b";\n\n"  # between statements that are sent as one
_EXPLAINED = ("SELECT", "WITH", "UPDATE", "INSERT", "DELETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One look at a table. ``touched``: rows that it brought or threw away."""

    table: str
    how: str  # "Index Scan", "Seq Scan" ...
    index: str
    touched: float
    statement: str


@dataclass(slots=True, kw_only=True)
class Plans:
    """The scans of all statements so far."""

    scans: list[Scan] = field(default_factory=list)

    def add(self, statement: str, plan: Mapping[str, Any]) -> None:
        self.scans += [_scan(statement, node) for node in _nodes(plan) if "Relation Name" in node and _reads(node)]

    def of(self, tables: Sequence[str]) -> list[Scan]:
        return [scan for scan in self.scans if scan.table in tables]


@contextmanager
def recorded() -> Iterator[Plans]:
    """All statements on SQLAlchemy connections that are opened while this lasts."""
    plans = Plans()

    class Recording(psycopg2.extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's own name
            statements = self.mogrify(query, vars).split(_NEXT)
            if statements[0].lstrip().decode().startswith(_EXPLAINED):
                began, undone = _ALONE if self.connection.autocommit else _WITHIN
                super().execute(began)
                for statement in statements:  # each sees what those before it have done
                    self._explain(statement)
                super().execute(undone)
            super().execute(query, vars)

        def _explain(self, statement: bytes) -> None:
            super().execute(_EXPLAIN + statement)
            found = self.fetchall()[0][0]
            plain = json.loads(found) if isinstance(found, str) else found
            plans.add(" ".join(statement.decode().split())[:300], plain[0]["Plan"])

    def record(connection: Any, _: object) -> None:
        connection.cursor_factory = Recording

    event.listen(Pool, "connect", record)
    try:
        yield plans
    finally:
        event.remove(Pool, "connect", record)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _reads(node: Mapping[str, Any]) -> bool:
    return node["Node Type"] not in {"ModifyTable", "LockRows"}


def _scan(statement: str, node: Mapping[str, Any]) -> Scan:
    thrown = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return Scan(
        table=node["Relation Name"],
        how=node["Node Type"],
        index=node.get("Index Name", ""),
        touched=(node["Actual Rows"] + thrown) * node["Actual Loops"],
        statement=statement,
    )
