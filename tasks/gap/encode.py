"""A payload as text, in the encoding that takes the fewest tokens: TOON, a pipe table, CSV, or JSON if that is least.

All four hold the same two tables and can be read back, so that none tells a model less than another.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import toon_format

from core import tokens

Row: TypeAlias = Mapping[str, str]
Tables: TypeAlias = Mapping[str, Sequence[Row]]
"""Table by name; the rows of one table have the same columns."""

_PIECE = re.compile(r"\\.|\||[^\\|]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The cheapest text. ``tokens``: what each encoding would have taken, the chosen one too."""

    name: str
    text: str
    tokens: Mapping[str, int]


def cheapest(tables: Tables, model: str) -> Encoded:
    """The encoding with the fewest tokens of this model; where two take the same, the first of ``ENCODINGS``."""
    texts = {name: encode(tables) for name, encode in ENCODINGS.items()}
    counts = {name: tokens.count(text, model) for name, text in texts.items()}
    best = min(counts, key=lambda name: counts[name])
    return Encoded(name=best, text=texts[best], tokens=counts)


def indented(tables: Tables) -> str:
    """JSON as people print it: no candidate, a baseline that many prompts are written in."""
    return orjson.dumps(tables, option=orjson.OPT_INDENT_2).decode()


def decode(name: str, text: str) -> dict[str, list[dict[str, str]]]:
    """The tables again. Raises ValueError for a text that is not of that encoding."""
    return _DECODERS[name](text)


def _toon(tables: Tables) -> str:
    return toon_format.dumps({name: list(rows) for name, rows in tables.items()})


def _json(tables: Tables) -> str:
    return orjson.dumps(tables).decode()


def _table(tables: Tables) -> str:
    return _blocks(tables, lambda cells: "|".join(re.sub(r"[\\|]", r"\\\g<0>", cell) for cell in cells))


def _csv(tables: Tables) -> str:
    return _blocks(tables, _csv_line)


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _blocks(tables: Tables, line: Callable[[Sequence[str]], str]) -> str:
    """Each table's name, its columns, its rows; a blank line between tables. Cells hold no line ends."""
    blocks = []
    for name, rows in tables.items():
        columns = list(rows[0]) if rows else []
        lines = [line(columns), *(line([row[column] for column in columns]) for row in rows)] if rows else []
        blocks.append("\n".join([name, *lines]))
    return "\n\n".join(blocks)


def _read_blocks(text: str, cells: Callable[[str], list[str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for block in text.split("\n\n"):
        name, *lines = block.split("\n")
        head = cells(lines[0]) if lines else []
        found[name] = [dict(zip(head, cells(line), strict=True)) for line in lines[1:]]
    return found


def _pipe_cells(line: str) -> list[str]:
    cells = [""]
    for piece in _PIECE.findall(line):
        if piece == "|":
            cells.append("")
        else:
            cells[-1] += piece.removeprefix("\\")
    return cells


def _csv_cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as exc:
        raise ValueError(f"no CSV row: {line!r}") from exc


ENCODINGS: Mapping[str, Callable[[Tables], str]] = {"toon": _toon, "table": _table, "csv": _csv, "json": _json}
_DECODERS: Mapping[str, Callable[[str], dict[str, list[dict[str, str]]]]] = {
    "toon": toon_format.loads,
    "table": lambda text: _read_blocks(text, _pipe_cells),
    "csv": lambda text: _read_blocks(text, _csv_cells),
    "json": orjson.loads,
}
