"""From a vector a token to a vector a text, as sentence-transformers' ``Pooling`` and ``Normalize`` do it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.model import Vector

Mask = npt.NDArray[np.bool_]


def pooled(tokens: Vector, mask: Mask, modes: Sequence[str]) -> Vector:
    """(texts, tokens, width) and (texts, tokens), padded on the right -> (texts, width times the number of modes)."""
    return np.concatenate([_one(tokens, mask, mode) for mode in modes], axis=1)


def normalised(vectors: Vector) -> Vector:
    """Rows of length 1; rows of zeros stay as they are."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def _one(tokens: Vector, mask: Mask, mode: str) -> Vector:
    lengths = mask.sum(axis=1, keepdims=True).astype(np.float32)
    match mode:
        case "cls":
            first: Vector = tokens[:, 0]
            return first
        case "lasttoken":
            last: Vector = tokens[np.arange(len(tokens)), np.maximum(mask.sum(axis=1) - 1, 0)]
            return last
        case "max":
            highest: Vector = np.where(mask[..., None], tokens, np.float32(-1e9)).max(axis=1)
            return highest
        case "mean_sqrt_len_tokens":
            return _weighted(tokens, mask.astype(np.float32), np.sqrt(lengths))
        case "weightedmean":
            weights = (mask * np.arange(1, mask.shape[1] + 1)).astype(np.float32)
            return _weighted(tokens, weights, weights.sum(axis=1, keepdims=True))
        case _:
            return _weighted(tokens, mask.astype(np.float32), lengths)


def _weighted(tokens: Vector, weights: Vector, divisor: Vector) -> Vector:
    found: Vector = np.einsum("bth,bt->bh", tokens, weights) / np.maximum(divisor, np.float32(1e-9))
    return found
