"""Runs an ONNX export with ``onnxruntime``, its texts cut by ``tokenizers``: no torch, no network."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from core.errors import InputError
from core.model import Vector
from core.providers.local.directory import ModelDirectory
from core.providers.local.models import Encoded, too_long
from core.providers.local.pooling import normalised, pooled

_MOST_TEXTS = 32
_MOST_TOKENS = 8_192  # of a batch, padding included: what bounds its memory
_KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_SENTENCE = "sentence_embedding"


class OnnxModel:
    """Implements ``LocalModel``."""

    def __init__(self, directory: ModelDirectory, weights: Path) -> None:
        self._directory = directory
        self._tokenizer = _tokenizer(directory.tokenizer)
        self._session = _session(weights)
        self._inputs = {given.name: _INTEGERS.get(given.type) for given in self._session.get_inputs()}
        outputs = [given.name for given in self._session.get_outputs()]
        # An export of the whole chain has pooled already; of the bare transformer, the first output is a token's.
        self._output = _SENTENCE if _SENTENCE in outputs else outputs[0]
        if unknown := [name for name, type_ in self._inputs.items() if name not in _KNOWN_INPUTS or type_ is None]:
            raise InputError(f"{weights} wants inputs that a text does not give: {', '.join(unknown)}")
        if directory.more and self._output != _SENTENCE:
            missing = ", ".join(directory.more)
            raise InputError(
                f"{weights} leaves out {missing}", hint=f"export the whole chain, with the output {_SENTENCE}"
            )

    @property
    def runtime(self) -> str:
        return f"onnxruntime {onnxruntime.__version__}"

    def encode(self, texts: Sequence[str]) -> Encoded:
        given = [self._directory.prompt + (text.lower() if self._directory.lower else text) for text in texts]
        encodings = self._tokenizer.encode_batch(given)
        limit = self._directory.max_tokens
        sizes = [len(encoding.ids) for encoding in encodings]
        flaws = {at: too_long(size, limit) for at, size in enumerate(sizes) if limit is not None and size > limit}
        rows: dict[int, Vector] = {}
        for batch in _batches([at for at in range(len(texts)) if at not in flaws], sizes):
            rows |= zip(batch, self._run([encodings[at] for at in batch]), strict=True)
        width = len(next(iter(rows.values()))) if rows else 0
        vectors: Vector = np.full((len(texts), width), np.nan, dtype=np.float32)
        for at, row in rows.items():
            vectors[at] = row
        return Encoded(vectors=vectors, tokens=sum(sizes[at] for at in rows), flaws=flaws)

    def _run(self, encodings: list[Encoding]) -> Vector:
        mask = _padded([encoding.attention_mask for encoding in encodings], 0)
        feeds = {name: self._feed(name, encodings, mask).astype(type_) for name, type_ in self._inputs.items()}
        (found,) = self._session.run([self._output], feeds)
        output: Vector = np.asarray(found, dtype=np.float32)
        if output.ndim == 3:
            output = pooled(output, mask.astype(bool), self._directory.poolings)
        elif output.ndim != 2:
            raise InputError(f"{self._directory.onnx}: the output {self._output} has {output.ndim} axes, not 2 or 3")
        return normalised(output) if self._directory.normalise else output

    def _feed(self, name: str, encodings: list[Encoding], mask: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        match name:
            case "input_ids":
                return _padded([encoding.ids for encoding in encodings], self._directory.pad_id)
            case "token_type_ids":
                return _padded([encoding.type_ids for encoding in encodings], 0)
            case "position_ids":
                return np.broadcast_to(np.arange(mask.shape[1]), mask.shape)
            case _:
                return mask


def _tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise InputError(f"{path} is missing", hint="export the model with its fast tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as exc:  # tokenizers raises nothing narrower
        raise InputError(f"{path} is no tokenizer: {exc}") from exc
    # Both are often fixed at the lengths of the training: ours are the text's own.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _session(weights: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime's errors have no common base but this
        raise InputError(f"{weights} is no ONNX model that can be run: {exc}") from exc


def _batches(indexes: list[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Texts of like length together: padding is computed like text."""
    batch: list[int] = []
    for at in sorted(indexes, key=lambda index: (sizes[index], index)):
        if batch and (len(batch) == _MOST_TEXTS or sizes[at] * (len(batch) + 1) > _MOST_TOKENS):
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _padded(rows: list[list[int]], fill: int) -> "np.ndarray[Any, Any]":
    width = max(1, *map(len, rows)) if rows else 1
    return np.array([row + [fill] * (width - len(row)) for row in rows], dtype=np.int64)
