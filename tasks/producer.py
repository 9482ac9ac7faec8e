"""Submitting from Python: a spec becomes jobs and chunks, workers do the rest (``submit``, then ``wait``)."""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from core.errors import InputError
from core.model import Job, JobDraft, JsonObject, SweepState, Usage
from core.pricing import Meter
from core.settings import RULES, provider_settings, settings
from core.sweep import SweepSpec, Target, without_passwords
from db import control, progress, submission
from db.engine import connect
from tasks.drafts import again
from tasks.kind import Problem
from tasks.registry import kind

POLL_S = 0.25
"""How often ``wait`` asks; the answer costs a few rows whatever the sweep's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What became of a spec. ``created`` False: the sweep existed with this very spec, and goes on or is done."""

    name: str
    jobs: int
    created: bool
    state: SweepState
    problems: tuple[Problem, ...]


def check(spec: SweepSpec) -> SweepSpec:
    """The spec with its source and options as the kind wants them. Raises InputError."""
    of_kind = kind(spec.kind)
    targets = (*spec.targets, *spec.reroute)
    for target in targets:
        if target.provider != RULES:
            provider_settings(target.provider)
    if spec.budget_usd is not None:
        require_prices(targets)
    try:
        source = of_kind.source_model.model_validate(spec.source)
        options = of_kind.options_model.model_validate(spec.options)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = f"see `sweep submit {spec.kind} --help`"
        raise InputError(f"{spec.kind}: {where}: {first['msg']}", hint=hint) from exc
    return spec.model_copy(
        update={"source": source.model_dump(mode="json"), "options": options.model_dump(mode="json")}
    )


def require_prices(targets: Iterable[Target]) -> None:
    """Raises InputError for a model whose price nobody knows: a budget over it could not be kept."""
    meter = Meter(settings())
    for target in targets:
        if meter.cost(target.provider, target.model, Usage(prompt=1)) is None:
            raise InputError(
                f"no price is known for {target.provider}/{target.model}: a budget cannot be kept",
                hint="leave the budget out, or choose a model that `sweep report` can price",
            )


def submit(database_url: str, spec: SweepSpec, *, on_job: Callable[[], None] = lambda: None) -> Submission:
    """Expands a spec as a stream and stores it in one transaction. Raises InputError; then nothing is stored."""
    spec = check(spec)
    problems: list[Problem] = []
    drafts = _drafts(spec, problems, on_job)
    stored = submission.submit(
        database_url,
        without_passwords(spec),
        drafts,
        problems=problems,
        on_repeat=lambda key: problems.append(again(key)),
    )
    state = stored.state if stored.created else _resume(database_url, spec, stored.state)
    return Submission(name=stored.name, jobs=stored.jobs, created=stored.created, state=state, problems=tuple(problems))


def _resume(database_url: str, spec: SweepSpec, state: SweepState) -> SweepState:
    # Submitting again is how a script says "go on".
    if state is SweepState.CANCELLED:
        raise InputError(f"the sweep {spec.name!r} is cancelled", hint="submit it under a new name")
    if state not in {SweepState.PAUSED, SweepState.BUDGET_EXHAUSTED}:
        return state
    engine = connect(database_url, role="producer", pool=1)
    try:
        return control.resume(
            engine, spec.name, budget_usd=spec.budget_usd if state is SweepState.BUDGET_EXHAUSTED else None
        )
    finally:
        engine.dispose()


def preview(spec: SweepSpec, count: int) -> tuple[list[JobDraft], list[Problem]]:
    """The first jobs of a spec, stored nowhere (`--dry-run`)."""
    problems: list[Problem] = []
    _, drafts = expand(spec, problems)
    return list(itertools.islice(drafts, count)), problems


def expand(spec: SweepSpec, problems: list[Problem]) -> tuple[SweepSpec, Iterator[JobDraft]]:
    """The spec as its kind wants it, and its jobs as a stream that fills ``problems`` (`--simulate`)."""
    spec = check(spec)
    return spec, _drafts(spec, problems, lambda: None)


def requests(spec: SweepSpec, drafts: Sequence[JobDraft]) -> Iterator[JsonObject]:
    """What would be sent for these jobs, in the first variant (`--dry-run`)."""
    spec = check(spec)
    for number, draft in enumerate(drafts, start=1):
        job = Job(id=number, key=draft.key, input=draft.input)
        request = kind(spec.kind).request(job, spec.variants()[0], spec.options)
        yield {"key": draft.key, "request": dataclasses.asdict(request)}


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
    engine = connect(database_url, role="reader", pool=1)
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
    jobs = 0
    for found in kind(spec.kind).jobs(spec.source, spec.options):
        if isinstance(found, Problem):
            problems.append(found)
            continue
        if jobs == spec.limit:
            return
        if not jobs:
            _require_requests(spec, found)
        jobs += 1
        on_job()
        yield found


def _require_requests(spec: SweepSpec, draft: JobDraft) -> None:
    """Raises InputError when some variant's parameters are none that the kind can ask with."""
    job = Job(id=1, key=draft.key, input=draft.input)
    for variant in spec.variants():
        kind(spec.kind).request(job, variant, spec.options)
