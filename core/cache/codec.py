"""How answers and calls look in the cache: one header byte, then JSON, compressed where it is long.

A value that cannot be read is None: a miss, whoever wrote it.
"""

import threading
from typing import Any

import numpy as np
import orjson
import pybase64
import zstandard

from core.model import Answer, CallRecord, CallStatus, Modality, Usage, Vector
from core.values import value

_PLAIN = b"\x01"  # the number is the version of the layout
_ZSTD = b"\x02"
_LONG = 2048  # bytes; compressing less costs as much as all the rest of storing it
_MAX_BYTES = 256 * 2**20  # a value that unpacks to more is none of ours

_BROKEN = (orjson.JSONDecodeError, zstandard.ZstdError, KeyError, TypeError, ValueError)


@value
class Entry:
    """An answer, and what it is cleared by."""

    answer: Answer
    sweep: str
    model: str


def pack_entry(entry: Entry) -> bytes:
    """An answer as a value."""
    answer = entry.answer
    fields: dict[str, Any] = {"call": answer.call_id, "sweep": entry.sweep, "model": entry.model}
    if answer.vector is None:
        fields |= {"text": answer.text, "finish": answer.finish_reason}
    else:
        fields |= {"vector": _vector_text(answer.vector)}
    if answer.position:
        fields["position"] = answer.position
    return _pack(fields, squeeze=answer.vector is None)


def unpack_entry(raw: bytes) -> Entry | None:
    """The answer in a value; None: broken."""
    try:
        fields = _unpack(raw)
        vector = fields.get("vector")
        answer = Answer(
            call_id=fields["call"],
            text=fields.get("text", ""),
            finish_reason=fields.get("finish", ""),
            vector=None if vector is None else np.frombuffer(pybase64.b64decode(vector, validate=True), dtype="<f4"),
            position=fields.get("position", 0),
        )
        return Entry(answer=answer, sweep=fields["sweep"], model=fields["model"])
    except _BROKEN:
        return None


def pack_call(call: CallRecord) -> bytes:
    """A call record as a value."""
    return _pack(call)


def unpack_call(raw: bytes) -> CallRecord | None:
    """The call record in a value; None: broken."""
    try:
        fields = _unpack(raw)
        usage = fields.pop("usage")
        return CallRecord(
            **fields
            | {
                "modality": Modality(fields["modality"]),
                "status": CallStatus(fields["status"]),
                "usage": None if usage is None else Usage(**usage),
            }
        )
    except _BROKEN:
        return None


def _vector_text(vector: Vector) -> str:
    return pybase64.b64encode_as_string(np.ascontiguousarray(vector, dtype="<f4").tobytes())


class _Zstd(threading.local):
    """A thread's own: they keep what they work with, which costs as much to make anew as a value to compress."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress  # half the time of 3, and 2 % larger
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def _pack(value: Any, *, squeeze: bool = True) -> bytes:
    # Vectors are noise to a compressor: not tried.
    raw = orjson.dumps(value, default=dict)
    if len(raw) < _LONG or not squeeze:
        return _PLAIN + raw
    return _ZSTD + _zstd.compress(raw)


def _unpack(value: bytes) -> dict[str, Any]:
    header, body = value[:1], value[1:]
    if header == _ZSTD:
        body = _zstd.decompress(body, max_output_size=_MAX_BYTES)
    elif header != _PLAIN:
        raise ValueError(header)
    fields = orjson.loads(body)
    if not isinstance(fields, dict):
        raise TypeError(fields)
    return fields
