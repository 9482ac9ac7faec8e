"""Simulated embeddings: deterministic, of unit length, similar for similar texts."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.simulator.vectors import Embedder


def similarity(left: str, right: str) -> float:
    vectors = Embedder().embed([left, right], 1536)
    return float(vectors[0] @ vectors[1])


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=8), st.sampled_from([1, 8, 1536]))
def test_every_text_gets_a_vector_of_unit_length_whatever_is_beside_it(texts: list[str], dimensions: int) -> None:
    embedder = Embedder()
    together = embedder.embed(texts, dimensions)

    assert together.dtype == np.float32
    assert together.shape == (len(texts), dimensions)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(together[0], Embedder().embed(texts[:1], dimensions)[0])


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("How do I restart a worker process?", "restarting the worker processes", "The weather in Paris is nice today"),
        ("retry with exponential backoff", "exponential back-off for retries", "colours of the flag of Bhutan"),
        ("def parse_config(path): reads TOML", "parse the config file at path", "an index of vectors in PostgreSQL"),
        ("数据库连接失败", "数据库连接已经断开", "今天天气很好"),
    ],
)
def test_texts_that_share_words_are_nearer_than_those_that_do_not(text: str, near: str, far: str) -> None:
    assert similarity(text, near) > similarity(text, far) + 0.2


def test_the_order_of_words_matters_a_little() -> None:
    assert 0.7 < similarity("worker starts broker", "broker starts worker") < 0.999


def test_a_vector_is_the_same_on_every_machine() -> None:
    vector = Embedder().embed(["The quick brown fox"], 256)[0]

    quantised = np.round(vector * 1000).astype("<i2").tobytes()
    assert hashlib.sha256(quantised).hexdigest()[:16] == "85fd4cf8a47939ae"
