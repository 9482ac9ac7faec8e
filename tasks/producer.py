"""Submitting from Python: a spec becomes jobs and chunks; workers do the rest.

    submitted = submit(database_url, SweepSpec(name="docs", kind="docstring", ...))
    status = wait(database_url, submitted.name)
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from core.errors import InputError
from core.model import JobDraft, SweepState
from core.sweep import SweepSpec
from db import progress, submission
from tasks.kind import Problem
from tasks.registry import kind

POLL_S = 0.25
"""How often ``wait`` asks; the answer costs a few rows whatever the sweep's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a spec. ``created`` False: the sweep existed with this very spec, and goes on."""

    name: str
    jobs: int
    created: bool
    problems: tuple[Problem, ...]


def check(spec: SweepSpec) -> SweepSpec:
    """The spec with its source and options as the kind wants them. Raises InputError."""
    of_kind = kind(spec.kind)
    try:
        source = of_kind.source_model.model_validate(spec.source)
        options = of_kind.options_model.model_validate(spec.options)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{spec.kind}: {where}: {first['msg']}", hint=f"see `sweep submit {spec.kind} --help`") from exc
    return spec.model_copy(
        update={"source": source.model_dump(mode="json"), "options": options.model_dump(mode="json")}
    )


def submit(database_url: str, spec: SweepSpec, *, on_job: Callable[[], None] = lambda: None) -> Submission:
    """Expands a spec as a stream and stores it in one transaction. Raises InputError; then nothing is stored."""
    spec = check(spec)
    problems: list[Problem] = []
    drafts = _drafts(spec, problems, on_job)
    stored = submission.submit(database_url, spec, drafts, problems=problems)
    return Submission(name=stored.name, jobs=stored.jobs, created=stored.created, problems=tuple(problems))


def preview(spec: SweepSpec, count: int) -> tuple[list[JobDraft], list[Problem]]:
    """The first jobs of a spec, stored nowhere (`--dry-run`)."""
    spec = check(spec)
    problems: list[Problem] = []
    return list(itertools.islice(_drafts(spec, problems, lambda: None), count)), problems


def wait(
    database_url: str,
    name: str,
    *,
    timeout_s: float | None = None,
    on_status: Callable[[progress.SweepStatus], None] = lambda _: None,
) -> progress.SweepStatus:
    """Returns when the sweep no longer runs. Raises TimeoutError."""
    pause = threading.Event()
    polls = itertools.count() if timeout_s is None else range(max(1, round(timeout_s / POLL_S)))
    engine = progress.open_reader(database_url)
    try:
        for _ in polls:
            status = progress.status(engine, name)
            on_status(status)
            if status.state is not SweepState.RUNNING:
                return status
            pause.wait(POLL_S)
    finally:
        engine.dispose()
    raise TimeoutError(f"sweep {name} still runs after {timeout_s} s")


def _drafts(spec: SweepSpec, problems: list[Problem], on_job: Callable[[], None]) -> Iterator[JobDraft]:
    found = kind(spec.kind).jobs(spec.source, spec.options)
    drafts = (item for item in found if isinstance(item, JobDraft) or problems.append(item))
    for draft in itertools.islice((d for d in drafts if isinstance(d, JobDraft)), spec.limit):
        on_job()
        yield draft
