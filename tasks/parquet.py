"""Parquet, written and read a batch at a time, by arro3: 33 MB where pyarrow takes 170.

arro3's Rust code panics on files that are broken within; both its exceptions and its panics are translated here.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import arro3.core as arrow
import arro3.io
import numpy as np

from core.errors import InputError

_BATCH = 4_096
_MAGIC = b"PAR1"
_SMALLEST = 12


class Type(Enum):
    """What a column holds; None is allowed in each."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    VECTOR = "vector"  # float32 arrays of any length


def write(out: Path, columns: Mapping[str, Type], rows: Iterator[Sequence[Any]]) -> int:
    """Replaces the file in one step with rows of so many cells each; returns how many. Raises InputError."""
    count = 0
    failed: list[Exception] = []

    def batches() -> Iterator[arrow.RecordBatch]:
        nonlocal count
        try:
            while part := list(itertools.islice(rows, _BATCH)):
                count += len(part)
                cells = zip(*part, strict=True)
                arrays = [_array(list(values), kind) for values, kind in zip(cells, columns.values(), strict=True)]
                yield arrow.RecordBatch.from_arrays(arrays, schema=schema)
        except Exception as exc:  # on its way through Rust it would lose its type
            failed.append(exc)
            raise

    schema = arrow.Schema([arrow.Field(name, _TYPES[kind]()) for name, kind in columns.items()])
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            arro3.io.write_parquet(arrow.RecordBatchReader.from_batches(schema, batches()), file, compression="zstd(3)")
        temporary.replace(out)
    except OSError as exc:
        raise InputError(f"cannot write {out}: {exc.strerror or exc}") from exc
    except Exception as exc:
        if failed:
            raise failed[0] from exc
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return count


class Reader:
    """An opened file. ``fields``: its columns with their Arrow types."""

    def __init__(self, stream: arrow.RecordBatchReader) -> None:
        self._stream = stream
        self.fields = [stream.schema.field(index) for index in range(len(stream.schema))]

    def batches(self) -> Iterator[list[list[Any]]]:
        """The rows, batch by batch, as columns of Python values. Raises ValueError where the file is broken."""
        while True:
            with _translated():
                batch = next(self._stream, None)
                if batch is None:
                    return
                columns: list[Any] = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
            yield columns


def read(path: Path, *, batch_size: int = _BATCH) -> Reader:
    """Opens a file. Raises OSError, and ValueError for what is no Parquet."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_MAGIC)))
        if size < _SMALLEST or head != _MAGIC or file.read() != _MAGIC:
            raise ValueError("not a Parquet file, or cut off")
    with _translated():
        return Reader(arro3.io.read_parquet(path, batch_size=batch_size))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as exc:
        raise ValueError(f"broken Parquet: {exc}") from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # of a class that Rust makes at run time
            raise
        raise ValueError("broken Parquet: its reader gave up") from exc


def _array(values: list[Any], kind: Type) -> arrow.Array:
    if kind is not Type.VECTOR:
        return arrow.Array(values, _TYPES[kind]())
    offsets = np.cumsum([0, *(0 if vector is None else len(vector) for vector in values)], dtype=np.int32)
    known = [np.asarray(vector, dtype=np.float32) for vector in values if vector is not None]
    flat = np.concatenate(known) if known else np.empty(0, dtype=np.float32)
    return arrow.list_array(arrow.Array.from_numpy(offsets), arrow.Array.from_numpy(flat))


_TYPES: Mapping[Type, Callable[[], arrow.DataType]] = {
    Type.TEXT: arrow.DataType.utf8,
    Type.INTEGER: arrow.DataType.int64,
    Type.NUMBER: arrow.DataType.float64,
    Type.BOOLEAN: arrow.DataType.bool,
    Type.VECTOR: lambda: arrow.DataType.list(arrow.Field("", arrow.DataType.float32())),
}
