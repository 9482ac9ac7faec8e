"""An Excel workbook: a sheet of tables, a sheet of fields, both with filters."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from core.errors import InputError
from tasks.dictionary.export.entries import Entry, by_table
from tasks.dictionary.export.flat import COLUMNS, record
from tasks.files import write_bytes
from tasks.spreadsheet import inert

_WIDTHS = {"description": 70, "existing": 40, "path": 34, "error": 30, "comment": 60}
_MOST_ROWS = 1_048_575


def write(found: Sequence[Entry], out: Path) -> str:
    """Writes the workbook in one step."""
    if len(found) > _MOST_ROWS:
        raise InputError(f"{len(found)} fields are more than a sheet holds", hint="-f csv")
    book = Workbook()
    fields: Any = book.active
    fields.title = "Fields"
    _fill(fields, COLUMNS, (list(record(entry).values()) for entry in found))
    tables = [
        [
            schema,
            table,
            group[0].facts.kind,
            len(group),
            sum(e.source != "none" for e in group),
            group[0].facts.table_comment,
        ]
        for (schema, table), group in by_table(found)
    ]
    _fill(book.create_sheet("Tables", 0), ("schema", "table", "kind", "fields", "described", "comment"), tables)
    buffer = io.BytesIO()
    book.save(buffer)
    path = out / "dictionary.xlsx" if out.is_dir() else out
    write_bytes(path, buffer.getvalue())
    return str(path)


def _fill(sheet: Any, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    sheet.append(list(header))
    for row in rows:
        sheet.append([_cell(value) for value in row])
    for number, name in enumerate(header, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, 16)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        cell.alignment = Alignment(vertical="top")
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions


def _cell(value: Any) -> Any:
    return inert(ILLEGAL_CHARACTERS_RE.sub("", value)) if isinstance(value, str) else value
