"""Deterministic embeddings: signed feature hashing of words, word pairs and character n-grams.

Texts that share words or parts of words are near, in any process and on any machine. Feature hashing: Weinberger et
al., "Feature Hashing for Large Scale Multitask Learning", 2009.
"""

import hashlib
import re
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.model import Vector

_WORD = re.compile(r"\w+")
_GRAMS = (3, 4, 5)
_CACHED_LENGTH = 40  # longer words (of scripts without spaces, too) are not kept
_CACHED_WORDS = 100_000
_PAIR_WEIGHT = 0.5
_GRAM_WEIGHT = 1.0  # all n-grams of a word together weigh as much as the word itself
_COMMON_WEIGHT = 0.25  # words of up to three letters are mostly grammar
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, as in Fibonacci hashing

_Hashes = npt.NDArray[np.uint64]
_Weights = npt.NDArray[np.float32]


class Embedder:
    """Vectors of unit length. Keeps the features of words that it has seen."""

    def __init__(self) -> None:
        self._features: dict[str, tuple[_Hashes, _Weights]] = {}

    def embed(self, texts: Sequence[str], dimensions: int) -> Vector:
        """float32, shape (texts, dimensions), rows of norm 1."""
        words = [_WORD.findall(text.lower()) or [text] for text in texts]
        parts = [self._word(word) for row in words for word in row]
        rows = np.repeat(np.arange(len(texts), dtype=np.int64), [len(row) for row in words])
        hashes = np.concatenate([part[0] for part in parts])
        weights = np.concatenate([part[1] for part in parts])
        feature_rows = np.repeat(rows, [len(part[0]) for part in parts])
        pair_hashes, pair_rows = _pairs(np.array([part[0][0] for part in parts], dtype=np.uint64), rows)
        return _folded(
            np.concatenate([hashes, pair_hashes]),
            np.concatenate([weights, np.full(len(pair_hashes), _PAIR_WEIGHT, dtype=np.float32)]),
            np.concatenate([feature_rows, pair_rows]),
            (len(texts), dimensions),
        )

    def _word(self, word: str) -> tuple[_Hashes, _Weights]:
        known = self._features.get(word)
        if known is not None:
            return known
        found = _features(word)
        if len(word) <= _CACHED_LENGTH:
            if len(self._features) >= _CACHED_WORDS:
                del self._features[next(iter(self._features))]
            self._features[word] = found
        return found


def _features(word: str) -> tuple[_Hashes, _Weights]:
    """Hashes and weights; the whole word comes first."""
    own = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    marked = f"<{word}>"
    grams = [marked[at : at + size] for size in _GRAMS for at in range(len(marked) - size + 1)]
    crcs = [zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in grams]
    hashes = np.array([own, *crcs], dtype=np.uint64)
    hashes[1:] = _mixed(hashes[1:])
    scale = _COMMON_WEIGHT if len(word) <= 3 else 1.0
    weights = np.full(len(hashes), scale * _GRAM_WEIGHT / max(1.0, len(grams) ** 0.5), dtype=np.float32)
    weights[0] = scale
    return hashes, weights


def _pairs(words: _Hashes, rows: npt.NDArray[np.int64]) -> tuple[_Hashes, npt.NDArray[np.int64]]:
    """Neighbouring words of the same text: order matters a little."""
    same = rows[:-1] == rows[1:]
    pairs = _mixed(words[:-1] * np.uint64(3) + words[1:])
    return pairs[same], rows[:-1][same]


def _mixed(hashes: _Hashes) -> _Hashes:
    mixed = hashes * _MIX
    spread: _Hashes = mixed ^ (mixed >> np.uint64(29))
    return spread


def _folded(hashes: _Hashes, weights: _Weights, rows: npt.NDArray[np.int64], shape: tuple[int, int]) -> Vector:
    count, dimensions = shape
    signs = np.where(hashes & np.uint64(1), np.float32(1), np.float32(-1))
    columns = ((hashes >> np.uint64(1)) % np.uint64(dimensions)).astype(np.int64)
    dense = np.bincount(rows * dimensions + columns, weights=signs * weights, minlength=count * dimensions)
    matrix = dense.astype(np.float32).reshape(shape)
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    # Features of a short text can cancel out: it still gets a vector of unit length.
    empty = norms < 1e-6
    matrix[empty, 0] = 1.0
    matrix /= np.where(empty, np.float32(1), norms)[:, None]
    return matrix
