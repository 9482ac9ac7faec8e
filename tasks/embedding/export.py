"""Vectors as Parquet, or as .npy, the array format of NumPy, with their keys as JSONL beside: line i tells row i."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import orjson

from core.errors import InputError
from core.model import ResultRow
from tasks import parquet
from tasks.parquet import Type

_COLUMNS = {
    "key": Type.TEXT,
    "document": Type.TEXT,
    "position": Type.INTEGER,
    "title": Type.TEXT,
    "text": Type.TEXT,
    "provider": Type.TEXT,
    "model": Type.TEXT,
    "call_id": Type.INTEGER,
    "vector": Type.VECTOR,
}

_Space: TypeAlias = tuple[str, str, int]  # provider, model, dimension


def write_npy(rows: Iterator[ResultRow], out: Path) -> str:
    """Streams into ``out`` and its ``.jsonl`` neighbour; several models or dimensions get a pair of files each."""
    out = out.with_suffix(".npy") if out.suffix != ".npy" else out
    files: dict[_Space, _Pair] = {}
    skipped = 0
    with ExitStack() as stack:
        for row in rows:
            if row.vector is None:
                skipped += 1
                continue
            space = (row.provider, row.model, int(row.vector.size))
            if space not in files:
                files[space] = _open(out, space, len(files), stack)
            files[space].add(row)
        if not files:
            raise InputError("there are no vectors to export", hint="sweep status tells what is done")
        for pair in files.values():
            pair.close()
        told = [pair.publish(_path(out, space, alone=len(files) == 1)) for space, pair in files.items()]
    without = f"; {skipped} jobs without a vector" if skipped else ""
    return f"{', '.join(told)}{without}"


def write_parquet(rows: Iterator[ResultRow], out: Path) -> str:
    """A row a vector with its text, in input order; models and dimensions may differ from row to row."""
    skipped = 0

    def told() -> Iterator[Sequence[Any]]:
        nonlocal skipped
        for row in rows:
            if row.vector is None:
                skipped += 1
                continue
            given = (row.input.get(name) for name in ("document", "position", "title", "text"))
            yield [row.key, *given, row.provider, row.model, row.call_id, row.vector]

    found = told()
    first = next(found, None)
    if first is None:
        raise InputError("there are no vectors to export", hint="sweep status tells what is done")
    count = parquet.write(out, _COLUMNS, itertools.chain([first], found))
    without = f"; {skipped} jobs without a vector" if skipped else ""
    return f"{count} vectors in {out}{without}"


class _Pair:
    """An array and its keys, under temporary names until both are whole."""

    def __init__(self, array: BinaryIO, keys: BinaryIO, dimension: int) -> None:
        self._array = array
        self._keys = keys
        self._dimension = dimension
        self._rows = 0
        self._write_header()

    def add(self, row: ResultRow) -> None:
        if row.vector is None:
            return
        self._array.write(np.ascontiguousarray(row.vector, dtype="<f4").tobytes())
        told = {
            "row": self._rows,
            "key": row.key,
            "document": row.input.get("document"),
            "position": row.input.get("position"),
            "provider": row.provider,
            "model": row.model,
            "call_id": row.call_id,
        }
        self._keys.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
        self._rows += 1

    def close(self) -> None:
        # NumPy pads the header for any number of rows, so that it can be written again in place.
        self._array.seek(0)
        self._write_header()
        self._array.close()
        self._keys.close()

    def publish(self, out: Path) -> str:
        Path(self._keys.name).replace(out.with_suffix(".jsonl"))
        Path(self._array.name).replace(out)
        return f"{self._rows} vectors of {self._dimension} in {out} (keys in {out.with_suffix('.jsonl').name})"

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dimension)}
        np.lib.format.write_array_header_1_0(self._array, header)


def _open(out: Path, space: _Space, number: int, stack: ExitStack) -> _Pair:
    base = out.with_name(f".{out.name}.{os.getpid()}.{number}")
    try:
        opened = [base.with_name(f"{base.name}.{part}").open("wb") for part in ("array", "keys")]
    except OSError as exc:
        raise InputError(f"cannot write to {out.parent}: {exc.strerror}") from exc
    for file in opened:
        stack.callback(Path(file.name).unlink, missing_ok=True)
        stack.callback(file.close)
    return _Pair(opened[0], opened[1], space[2])


def _path(out: Path, space: _Space, *, alone: bool) -> Path:
    if alone:
        return out
    label = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{space[0]}.{space[1]}.{space[2]}")
    return out.with_name(f"{out.stem}.{label}.npy")
