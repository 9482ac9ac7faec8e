"""The dictionary as files: Markdown pages, CSV, JSON, dbt, SQL comments, a workbook."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from core.errors import InputError
from core.model import ResultRow
from tasks.dictionary.export import dbt, flat, markdown, sql, workbook
from tasks.dictionary.export.entries import Entry, coverage, entries

_WRITERS: Mapping[str, Callable[[Sequence[Entry], Path], str]] = {
    "markdown": markdown.write,
    "csv": flat.write_csv,
    "json": flat.write_json,
    "dbt": dbt.write,
    "sql": sql.write,
    "xlsx": workbook.write,
}
FORMATS: tuple[str, ...] = tuple(_WRITERS)


def write(rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
    """Writes the best result of each field. Raises InputError: unknown format, nothing to write, no place."""
    if fmt not in _WRITERS:
        raise InputError(f"a dictionary has no format {fmt!r}", hint=f"formats: {', '.join(FORMATS)}")
    found = entries(rows)
    if not found:
        raise InputError("nothing to export: the sweep has no fields")
    try:
        where = _WRITERS[fmt](found, out)
    except OSError as exc:
        raise InputError(f"cannot write {out}: {exc.strerror or exc}") from exc
    return f"{where} · {coverage(found)}"
