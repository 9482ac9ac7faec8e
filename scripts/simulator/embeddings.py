"""``/v1/embeddings``: OpenAI's limits and refusals, strings or token ids in, floats or base64 out."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from core.model import Vector
from scripts.simulator.counting import Counting
from scripts.simulator.jobs import Price
from scripts.simulator.refusals import DOCS, Refusal, Refused, bad_request
from scripts.simulator.vectors import Embedder

MAX_INPUTS = 2_048
MAX_TEXT_TOKENS = 8_192
MAX_REQUEST_TOKENS = 300_000
BAD_VECTORS = frozenset({"nan-vector", "short-vector", "zero-vector"})
"""Faults of one vector of a request."""

_DIMENSIONS = 1_536
_LARGE_DIMENSIONS = 3_072


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingJob:
    """A well-formed embedding request."""

    model: str
    texts: Sequence[str]
    dimensions: int
    packed: bool  # base64
    fingerprints: Sequence[bytes]
    price: Price
    embedder: Embedder

    def mentions(self, word: str) -> bool:
        return any(word in text for text in self.texts)

    def body(self, request_id: str) -> bytes:  # noqa: ARG002  embeddings carry no id
        return self._body(self.texts)

    def spoiled(self, fault: str, request_id: str) -> bytes | None:  # noqa: ARG002
        match fault:
            case "empty-choices":
                return self._body([])
            case "wrong-schema":
                return self._body(self.texts[:-1])
            case _ if fault in BAD_VECTORS:
                return self._body(self.texts, bad=fault)
            case _:
                return None

    def _body(self, texts: Sequence[str], *, bad: str = "") -> bytes:
        vectors = self.embedder.embed(texts, self.dimensions) if texts else np.empty((0, 0), np.float32)
        rows = [*vectors]
        if bad:
            rows[0] = _bad_vector(bad, rows[0])
        entries: Iterable[bytes]
        if self.packed:
            entries = (b'"%b"' % base64.b64encode(row.astype("<f4", copy=False)) for row in rows)
        else:
            # Not orjson, which makes NaN null: servers that overflow are Python ones, and write it as it is.
            entries = (json.dumps(row.tolist()).encode() if bad else _floats(row) for row in rows)
        data = b",".join(
            b'{"object":"embedding","index":%d,"embedding":%b}' % (index, entry) for index, entry in enumerate(entries)
        )
        usage = {"prompt_tokens": self.price.prompt, "total_tokens": self.price.prompt}
        return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (
            data,
            orjson.dumps(self.model),
            orjson.dumps(usage),
        )


def _floats(row: Vector) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)


def _bad_vector(fault: str, row: Vector) -> Vector:
    """The first text's vector with one fault; the others of its request are sound."""
    match fault:
        case "zero-vector":
            return np.zeros_like(row)
        case "short-vector":
            return row[:-1]
        case _:
            spoiled = row.copy()
            spoiled[-1] = np.nan
            return spoiled


def read_embeddings(body: Mapping[str, Any], model: str, counting: Counting, embedder: Embedder) -> EmbeddingJob:
    """``model``: the Azure deployment, "" where the body names it. Raises Refused."""
    named = model or body.get("model")
    if not named or not isinstance(named, str):
        raise bad_request("you must provide a model parameter")
    encoding = body.get("encoding_format", "float")
    if encoding not in {"float", "base64"}:
        raise bad_request(
            f"Invalid value: '{encoding}'. Supported values are: 'float' and 'base64'.",
            param="encoding_format",
            code="invalid_value",
        )
    dimensions = _dimensions(body.get("dimensions"), named)
    texts, counts = _inputs(body.get("input"), named, counting)
    longest = max(counts)
    if longest > MAX_TEXT_TOKENS:
        raise bad_request(
            f"This model's maximum context length is {MAX_TEXT_TOKENS} tokens, however you requested {longest} tokens "
            f"({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )
    total = sum(counts)
    if total > MAX_REQUEST_TOKENS:
        name = "max_tokens_per_request"
        message = f"Requested {total} tokens, max {MAX_REQUEST_TOKENS} tokens per request"
        raise Refused(Refusal(status=400, message=message, type=name, code=name))
    prefix = hashlib.sha256(orjson.dumps([named, dimensions]))
    return EmbeddingJob(
        model=named,
        texts=texts,
        dimensions=dimensions,
        packed=encoding == "base64",
        fingerprints=[_fingerprint(prefix, text) for text in texts],
        price=Price(prompt=total),
        embedder=embedder,
    )


def _fingerprint(prefix: "hashlib._Hash", text: str) -> bytes:
    digest = prefix.copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _dimensions(given: Any, model: str) -> int:
    own = _LARGE_DIMENSIONS if "large" in model else _DIMENSIONS
    if given is None:
        return own
    if model.endswith("ada-002"):
        raise bad_request("This model does not support specifying dimensions.")
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given <= own:
        raise bad_request(
            f"Invalid value for 'dimensions' = {given}. Must be between 1 and {own}.",
            param="dimensions",
            code="invalid_value",
        )
    return given


def _inputs(given: Any, model: str, counting: Counting) -> tuple[list[str], list[int]]:
    """The texts and their tokens; one text for a list of token ids."""
    if isinstance(given, str) or _is_ids(given):
        given = [given]
    if not isinstance(given, list) or not given:
        raise _invalid_input()
    if len(given) > MAX_INPUTS:
        raise _invalid_input(f"array length must be {MAX_INPUTS} or less")
    if all(isinstance(text, str) and text for text in given):
        return given, [counting.text(text, model) for text in given]
    if all(_is_ids(ids) for ids in given):
        return [_decoded(ids, model, counting) for ids in given], [len(ids) for ids in given]
    raise _invalid_input()


def _is_ids(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(token) is int and token >= 0 for token in given)


def _decoded(ids: list[int], model: str, counting: Counting) -> str:
    try:
        return counting.decode(ids, model)
    except ValueError as exc:
        raise _invalid_input("a token id is out of the model's vocabulary") from exc


def _invalid_input(why: str = "") -> Refused:
    detail = f" ({why})" if why else ""
    return bad_request(f"'$.input' is invalid{detail}. Please check the API reference: {DOCS}/api-reference.")
