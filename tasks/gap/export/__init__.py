"""The report as files: Markdown for people, JSON for programs, SARIF for code hosts and editors."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from core.errors import InputError
from core.model import ResultRow
from core.pricing import Meter
from core.settings import settings
from tasks.files import write_text
from tasks.gap.economy import Cost
from tasks.gap.export import machine, markdown, sarif
from tasks.gap.export.entries import Report, collect
from tasks.kind import Spent

_RENDERERS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "markdown": ("md", markdown.render_report),
    "json": ("json", machine.render_json),
    "sarif": ("sarif", sarif.render_sarif),
}
FORMATS: tuple[str, ...] = tuple(_RENDERERS)


def write(
    rows: Iterator[ResultRow], fmt: str, out: Path, *, cost: Cost | None = None, spent: Spent | None = None
) -> str:
    """Writes a report. ``cost`` None: by the price list; ``spent`` None: what the rows' own answers cost.

    Raises InputError: unknown format, no jobs, no place.
    """
    if fmt not in _RENDERERS:
        raise InputError(f"gap has no format {fmt!r}", hint=f"formats: {', '.join(FORMATS)}")
    report = collect(rows, cost or Meter(settings()).cost, spent)
    if not report.entries:
        raise InputError("nothing to export: the sweep has no jobs")
    suffix, renderer = _RENDERERS[fmt]
    path = out / f"gap.{suffix}" if out.is_dir() else out if out.suffix else out.with_name(f"{out.name}.{suffix}")
    try:
        write_text(path, renderer(report))
    except OSError as exc:
        raise InputError(f"cannot write {out}: {exc.strerror or exc}") from exc
    return f"{path} · {report.summary}"
