"""The demo's story: up, submit, watch, show, down."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from core.settings import default_model
from core.sweep import SweepSpec, Target
from scripts.cli.progress import follow
from scripts.cli.render import stdout, talk, usd
from scripts.demo.inputs import Inputs, gather
from scripts.demo.stage import Stage, check, staged
from tasks import producer
from tasks.results import export
from workers.observer import SweepView, observing
from workers.search import Hit, search

_QUERY = "How do I retry a failed task?"
_EMBEDDING_CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    kind: str
    provider: str
    exports: tuple[tuple[str, str], ...]  # format, file name


def run(*, provider: str | None, src: str, db: str, docs: str) -> int:
    """Runs the demo; the exit code is the worst of its sweeps'."""
    began = time.monotonic()
    with staged(provider) as stage:
        talk(f"servers, workers and Flower are up after {time.monotonic() - began:.1f} s")
        talk(f"Flower: {stage.flower_url} (login {stage.flower_login}) while this runs")
        scratch = stage.directory / "demo"
        scratch.mkdir(exist_ok=True)
        inputs = gather(scratch, stage.settings.database_url, src=src, db=db, docs=docs)
        parts = _parts(provider)
        before = stage.calls()
        names = [_submit(stage, part, inputs) for part in parts]
        with observing(stage.settings) as observer:
            views = follow(observer, names, check=lambda: check(stage.directory))
        asked = stage.calls() - before
        flower = stage.flower_is_up()
        places = [_export(stage, part, name, scratch) for part, name in zip(parts, names, strict=True)]
        hits = search(stage.settings, _QUERY, sweep=names[-1], k=3)
        _show(views, places, hits)
        _verdict(views, asked, simulated=bool(stage.simulators), flower=flower)
    talk(f"demo: {time.monotonic() - began:.1f} s in all")
    return max(view.exit_code for view in views)


def _parts(provider: str | None) -> tuple[_Part, ...]:
    return (
        _Part(kind="docstring", provider=provider or "openai", exports=(("patch", "docstrings.patch"),)),
        _Part(
            kind="dictionary",
            provider=provider or "hyperbolic",
            exports=(("markdown", "dictionary"), ("csv", "dictionary.csv")),
        ),
        _Part(kind="embedding", provider=provider or "openai", exports=()),
    )


def _submit(stage: Stage, part: _Part, inputs: Inputs) -> str:
    embedding = part.kind == "embedding"
    spec = SweepSpec(
        name=f"demo-{part.kind}-{secrets.token_hex(3)}",
        kind=part.kind,
        source=getattr(inputs, part.kind),
        targets=(Target(provider=part.provider, model=default_model(part.provider, embedding=embedding)),),
        chunk_size=_EMBEDDING_CHUNK if embedding else 16,
        description="make demo",
    )
    submitted = producer.submit(stage.settings.database_url, spec)
    for problem in submitted.problems:
        talk(f"left out: {problem.where}: {problem.what}")
    return submitted.name


def _export(stage: Stage, part: _Part, name: str, scratch: Path) -> str:
    said = [export(stage.settings.database_url, name, fmt, scratch / file) for fmt, file in part.exports]
    return "\n".join(said) or f'sweep search "{_QUERY}"'


def _show(views: list[SweepView], places: list[str], hits: list[Hit]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sweep", "done", "cached", "failed", "calls", "tokens", "cost", "calls/s"):
        table.add_column(column, justify="left" if column == "sweep" else "right")
    for view in views:
        s = view.status
        seconds = (s.finished_at - s.created_at).total_seconds() if s.finished_at else 0.0
        table.add_row(
            s.name,
            *(f"{count:,}" for count in (s.done, s.cached, s.failed, s.calls, s.tokens.total)),
            usd(s.cost_usd),
            f"{s.calls / seconds:.1f}" if seconds else "-",
        )
    console = stdout()
    console.print(table)
    for view, place in zip(views, places, strict=True):
        console.print(f"{view.status.kind}: {place}", highlight=False)
    for hit in hits:
        console.print(f"  {hit.score:.3f}  {hit.key}: {' '.join(hit.text.split())[:90]}", highlight=False, markup=False)


def _verdict(views: list[SweepView], asked: int, *, simulated: bool, flower: bool) -> None:
    calls = sum(view.status.calls for view in views)
    if calls == 0:
        talk("everything came from the cache: 0 provider calls, nothing was paid")
    if simulated:
        talk(f"the simulated providers were asked {asked} times, the ledger has {calls} calls")
    if not flower:
        talk("Flower did not answer: see .sweep/log/demo-flower.log")
