"""From a stream of drafts to a sweep's rows: one transaction, flat memory."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy

from core.errors import InputError
from core.model import JobDraft, SweepState
from core.sweep import SweepSpec
from db.documents import dump_json
from db.engine import AlreadyThere, Cursor, connect, transaction
from db.inflow import Inflow
from db.rows import int_array
from db.specs import NOTIFY

_KEPT = 1_000  # problems: every status reads them, and a source may have millions


class SourceProblem(Protocol):
    """A part of the source that became no jobs (``tasks.kind.Problem``)."""

    @property
    def where(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def by_design(self) -> bool:
        """No fault of the source: told, but no failure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a submission came to. ``created`` False: the same sweep was there already, and goes on."""

    sweep_id: int
    name: str
    jobs: int
    created: bool
    state: SweepState


def submit(
    target: str | sqlalchemy.Engine,
    spec: SweepSpec,
    drafts: Iterable[JobDraft],
    *,
    problems: Sequence[SourceProblem] = (),
    on_repeat: Callable[[str], None] | None = None,
) -> Submitted:
    """Writes a sweep and all its jobs, or nothing.

    ``problems`` is read after the last draft, so that a source may fill it while it streams. ``on_repeat`` is told each
    key that was there before, whose draft becomes no job; without it such a key is an error.
    Raises InputError (name taken by another spec, no drafts, a key twice or too long), LedgerUnavailable.
    """
    if isinstance(target, sqlalchemy.Engine):
        return _submit(target, spec, drafts, problems, on_repeat)
    engine = connect(target, role="producer", pool=1)
    try:
        return _submit(engine, spec, drafts, problems, on_repeat)
    finally:
        engine.dispose()


def _submit(
    engine: sqlalchemy.Engine,
    spec: SweepSpec,
    drafts: Iterable[JobDraft],
    problems: Sequence[SourceProblem],
    on_repeat: Callable[[str], None] | None,
) -> Submitted:
    try:
        with transaction(engine) as cursor:
            # A second producer of the same name waits here, and then finds the first one's sweep.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_lock_key(spec.name),))
            earlier = _earlier(cursor, spec)
            if earlier is not None:
                return earlier
            sweep_id = _open(cursor, spec)
            inflow = Inflow(cursor=cursor, sweep_id=sweep_id, spec=spec, on_repeat=on_repeat)
            inflow.write(drafts)
            if not inflow.jobs:
                raise InputError("the source has no jobs", hint=_first_problem(problems))
            cursor.execute(
                "UPDATE sweeps SET jobs_total = %s, problems_json = %s, waves = %s WHERE id = %s",
                (inflow.jobs, dump_json(_kept(problems)).decode(), int_array(inflow.waves), sweep_id),
            )
            cursor.execute("SELECT pg_notify(%s, '')", (NOTIFY,))
    except AlreadyThere as exc:
        raise InputError(
            f"the source has two jobs with the key {_twice(exc)}", hint="keys are unique in a sweep"
        ) from exc
    return Submitted(sweep_id=sweep_id, name=spec.name, jobs=inflow.jobs, created=True, state=SweepState.RUNNING)


def _earlier(cursor: Cursor, spec: SweepSpec) -> Submitted | None:
    cursor.execute(
        """SELECT s.id, s.jobs_total, s.state, s.digest, s.spec_json FROM sweeps s JOIN groups g ON g.id = s.group_id
        WHERE g.group_type = 'sweep' AND g.name = %s""",
        (spec.name,),
    )
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        return None
    sweep_id, jobs, state, digest, other = row
    # An earlier version may have counted its digest otherwise: the spec itself decides.
    if digest != spec.digest() != SweepSpec.model_validate(other).digest():
        raise InputError(
            f"the sweep {spec.name!r} exists with another spec: {_differences(spec, other)}",
            hint="choose another --name, or submit exactly the same to resume it",
        )
    return Submitted(sweep_id=sweep_id, name=spec.name, jobs=jobs, created=False, state=SweepState(state))


def _open(cursor: Cursor, spec: SweepSpec) -> int:
    cursor.execute(
        "INSERT INTO groups (group_type, name, description) VALUES ('sweep', %s, %s) RETURNING id",
        (spec.name, spec.description),
    )
    group_id = _one(cursor)
    cursor.execute(
        "INSERT INTO sweeps (group_id, kind, spec_json, digest, budget_usd) VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (group_id, spec.kind, dump_json(spec.model_dump(mode="json")).decode(), spec.digest(), spec.budget_usd),
    )
    return _one(cursor)


def _lock_key(name: str) -> int:
    digest = hashlib.sha256(f"llmsweep sweep {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _differences(spec: SweepSpec, other: dict[str, Any]) -> str:
    mine = spec.model_dump(mode="json")
    ignored = {"name", "description", "budget_usd"}
    names = [name for name in mine if name not in ignored and mine[name] != other.get(name)]
    return (
        ", ".join(f"{name} is {_short(other.get(name))}, now {_short(mine[name])}" for name in names) or "its version"
    )


def _short(value: Any) -> str:
    text = dump_json(value).decode()
    return text if len(text) <= 80 else text[:77] + "..."


def _first_problem(problems: Sequence[SourceProblem]) -> str:
    return f"{problems[0].where}: {problems[0].what}" if problems else "nothing in it matches what the kind looks for"


def _twice(exc: AlreadyThere) -> str:
    _, _, rest = exc.key.partition(")=(")
    key = rest.partition(", ")[2].rpartition(")")[0]
    return repr(key) if key else exc.key


def _kept(problems: Sequence[SourceProblem]) -> list[dict[str, Any]]:
    told = [_told(problem) for problem in problems[:_KEPT]]
    if rest := problems[_KEPT:]:
        by_design = {"by_design": True} if all(problem.by_design for problem in rest) else {}
        told.append({"where": "the source", "what": f"{len(rest)} problems more", **by_design})
    return told


def _told(problem: SourceProblem) -> dict[str, Any]:
    told = {"where": problem.where, "what": problem.what}
    return told | {"by_design": True} if problem.by_design else told


def _one(cursor: Cursor) -> int:
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise AssertionError("INSERT ... RETURNING returned nothing")
    return int(row[0])
