"""The measured table in ``docs/kinds.md``."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.bench.report import Row

_PAGE = Path("docs/kinds.md")
_BLOCK = re.compile(r"(<!-- measured: begin -->\n).*?(<!-- measured: end -->)", re.DOTALL)


def write(sections: Mapping[str, Sequence[Row]], page: Path = _PAGE) -> None:
    """Replaces what stands between the marks; the text around it is for people to write."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_BLOCK.sub(lambda marks: f"{marks[1]}{_table(sections)}{marks[2]}", text), encoding="utf-8")


def _table(sections: Mapping[str, Sequence[Row]]) -> str:
    day = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [f"Measured on {day} by `python -m scripts.bench kinds` ({machine}).", ""]
    for kind, rows in sections.items():
        lines += [f"| {kind} | value | unit | goal | holds |", "| --- | ---: | --- | --- | --- |"]
        lines += [f"| {row.row} | {row.value:,} | {row.unit} | {row.goal} | {_verdict(row.holds)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _verdict(holds: bool | None) -> str:  # noqa: FBT001 - the row's own value
    return "" if holds is None else "yes" if holds else "**no**"
