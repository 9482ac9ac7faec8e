"""Progress bars of running sweeps, from PostgreSQL; plain lines where stderr is no terminal."""

import threading
from collections.abc import Callable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from scripts.cli.render import spent, stderr, talk
from workers.observer import Observer, SweepView

_POLL_S = 0.25
_LINE_EVERY = 40  # polls between plain lines


Check = Callable[[Sequence[SweepView]], None]
"""Looks at the sweeps each time that they are shown, and may end the watch with an error."""


def follow(observer: Observer, names: Sequence[str], *, check: Check = lambda _: None) -> list[SweepView]:
    """Shows the sweeps until none of them runs; returns how they ended."""
    show = _bars if stderr().is_terminal else _lines
    return show(observer, names, check)


def _bars(observer: Observer, names: Sequence[str], check: Check) -> list[SweepView]:
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    pause = threading.Event()
    with Progress(*columns, console=stderr()) as progress:
        bars = {name: progress.add_task(name, total=None, note="") for name in names}
        while True:
            views = [observer.one(name) for name in names]
            for view in views:
                s = view.status
                progress.update(
                    bars[s.name], total=s.jobs, completed=s.jobs - s.pending, note=_note(view), refresh=True
                )
            if not any(view.running for view in views):
                return views
            check(views)
            pause.wait(_POLL_S)


def _lines(observer: Observer, names: Sequence[str], check: Check) -> list[SweepView]:
    pause = threading.Event()
    polls = 0
    while True:
        views = [observer.one(name) for name in names]
        ended = not any(view.running for view in views)
        if ended or polls % _LINE_EVERY == 0:
            for view in views:
                s = view.status
                talk(f"{s.name}: {s.state.value}, {s.jobs - s.pending} of {s.jobs} jobs, {_note(view)}")
        if ended:
            return views
        check(views)
        polls += 1
        pause.wait(_POLL_S)


def _note(view: SweepView) -> str:
    s = view.status
    parts = [f"{s.cached} cached", spent(s.cost_usd, s.cost_usd_max)]
    if s.failed:
        parts.insert(0, f"{s.failed} failed")
    return ", ".join(parts)
