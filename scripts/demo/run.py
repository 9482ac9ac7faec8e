"""The demo's story: up, submit, watch, show, down."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.model import SweepState
from core.settings import default_model
from core.sweep import SweepSpec, Target
from db import control
from db.engine import connect
from scripts.cli.progress import follow
from scripts.cli.render import talk
from scripts.demo.inputs import Inputs, gather, require_usable
from scripts.demo.show import show
from scripts.demo.stage import Stage, staged
from tasks import producer
from tasks.results import export
from workers.observer import SweepView, observing
from workers.search import Hit, search

_QUERY = "How do I retry a failed task?"
_EMBEDDING_CHUNK = 256
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    kind: str
    target: Target
    exports: tuple[tuple[str, str], ...] = ()  # format, file name


def run(*, provider: str | None, src: str, db: str, docs: str) -> int:
    """Runs the demo; the exit code is the worst of its sweeps'. Raises InputError."""
    began = time.monotonic()
    parts = _parts(provider)
    require_usable(src=src, db=db, docs=docs)
    with staged(provider) as stage:
        talk(f"servers, workers and Flower are up after {time.monotonic() - began:.1f} s")
        talk(f"Flower: {stage.flower.url} (login {stage.flower.login}) while this runs")
        scratch = stage.directory / "demo"
        scratch.mkdir(exist_ok=True)
        inputs = gather(scratch, stage.settings.database_url, src=src, db=db, docs=docs)
        before = stage.calls()
        with _ended_with_us(stage) as names:
            for part in parts:
                names.append(_submit(stage, part, inputs))
            with observing(stage.settings) as observer:
                views = follow(observer, names, check=_Watch(stage))
        asked = stage.calls() - before
        places = [_export(stage, part, view, scratch) for part, view in zip(parts, views, strict=True)]
        show(views, places, _hits(stage, parts, views))
        _verdict(stage, views, asked)
    talk(f"demo: {time.monotonic() - began:.1f} s in all")
    return max(view.exit_code for view in views)


def _parts(provider: str | None) -> list[_Part]:
    chat = {kind: provider or simulated for kind, simulated in (("docstring", "openai"), ("dictionary", "hyperbolic"))}
    exports = {
        "docstring": (("patch", "docstrings.patch"),),
        "dictionary": (("markdown", "dictionary"), ("csv", "dictionary.csv")),
    }
    parts = [
        _Part(kind=kind, target=Target(provider=name, model=default_model(name)), exports=exports[kind])
        for kind, name in chat.items()
    ]
    name = provider or "openai"
    try:
        target = Target(provider=name, model=default_model(name, embedding=True))
    except InputError as exc:
        talk(f"no embeddings: {name} has no model for them ({exc.hint})")
        return parts
    return [*parts, _Part(kind="embedding", target=target)]


@contextmanager
def _ended_with_us(stage: Stage) -> Iterator[list[str]]:
    """Cancels what still runs when the demo is interrupted: nobody else shall go on with it, and pay for it."""
    names: list[str] = []
    try:
        yield names
    except BaseException:
        engine = connect(stage.settings.database_url, role="producer", pool=1)
        try:
            for name in names:
                _cancel(engine, name)
        finally:
            engine.dispose()
        raise


def _cancel(engine: Any, name: str) -> None:
    try:
        control.cancel(engine, name)
    except InputError:
        return  # done already


def _submit(stage: Stage, part: _Part, inputs: Inputs) -> str:
    spec = SweepSpec(
        name=f"demo-{part.kind}-{secrets.token_hex(3)}",
        kind=part.kind,
        source=getattr(inputs, part.kind),
        targets=(part.target,),
        chunk_size=_EMBEDDING_CHUNK if part.kind == "embedding" else 16,
        description="make demo",
    )
    submitted = producer.submit(stage.settings.database_url, spec)
    for problem in submitted.problems:
        talk(f"left out: {problem.where}: {problem.what}")
    return submitted.name


class _Watch:
    """Ends the demo when one of its programs dies, or when nothing moves: it must never hang."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._seen: tuple[object, ...] = ()
        self._moved_at = time.monotonic()

    def __call__(self, views: Sequence[SweepView]) -> None:
        self._stage.check()
        seen = tuple((view.status.state, view.status.pending, view.status.calls) for view in views)
        if seen != self._seen:
            self._seen, self._moved_at = seen, time.monotonic()
        if time.monotonic() - self._moved_at > _PATIENCE_S:
            raise InputError(
                f"nothing has come back for {_PATIENCE_S:.0f} s",
                hint=f"does the provider answer? see `sweep doctor` and {self._stage.directory / 'log'}",
            )


def _export(stage: Stage, part: _Part, view: SweepView, scratch: Path) -> str:
    name = view.status.name
    said = [export(stage.settings.database_url, name, fmt, scratch / file) for fmt, file in part.exports]
    return "\n".join(said) or f'{view.status.done:,} vectors in PostgreSQL; nearest to "{_QUERY}":'


def _hits(stage: Stage, parts: Sequence[_Part], views: Sequence[SweepView]) -> list[Hit]:
    if parts[-1].kind != "embedding" or not views[-1].status.done:
        return []
    return search(stage.settings, _QUERY, sweep=views[-1].status.name, k=3)


def _verdict(stage: Stage, views: Sequence[SweepView], asked: int) -> None:
    calls = sum(view.status.calls for view in views)
    if calls == 0 and all(view.status.state is SweepState.DONE for view in views):
        talk("everything came from the cache: 0 provider calls, nothing was paid")
    if stage.simulators:
        talk(f"the simulated providers were asked {asked} times, the ledger has {calls} calls")
    if not stage.flower.answers():
        talk(f"Flower did not answer: see {stage.directory / 'log' / 'demo-flower.log'}")
