"""What embeddings a provider takes, and which of a reply's vectors fail alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.errors import MalformedAnswer
from core.ports import Provider
from tests.contract.raw_http import RawServer, http
from tests.contract.replies import embeddings_body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([[1.0, 2.0]], id="one vector for two texts"),
        pytest.param([[1.0, 2.0]] * 3, id="three vectors for two texts"),
        pytest.param([[1.0, 2.0], [1.0]], id="no dimension that most have"),
        pytest.param([[], []], id="empty vectors"),
        pytest.param([[1.0, None], [None, 2.0]], id="null"),
        pytest.param([[1.0, 1e300], [1e300, 2.0]], id="beyond float32"),
        pytest.param([["a", "b"], ["c", "d"]], id="text"),
        pytest.param([None, None], id="no vector"),
        pytest.param([{"a": 1}, {"a": 1}], id="an object"),
        pytest.param([[[1.0]], [[1.0]]], id="nested lists"),
        pytest.param(["%%%%", "%%%%"], id="no base64"),
        pytest.param(["AAAA", "AAAA"], id="base64 of no whole float"),
        pytest.param(["AADAfw==", "AADAfw=="], id="base64 with NaN"),
        pytest.param(["AACAfw==", "AACAfw=="], id="base64 with infinity"),
    ],
)
async def test_embeddings_that_cannot_be_used_are_malformed(
    server: RawServer, provider_of: Callable[..., Provider], data: list[Any]
) -> None:
    server.answer(http(embeddings_body(*data)))
    with pytest.raises(MalformedAnswer) as caught:
        await provider_of().embed("text-embedding-3-small", ["a", "b"])
    assert caught.value.usage is not None
    assert caught.value.usage.prompt == 4


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        pytest.param([1.0], "1 dimensions, not 2", id="another dimension"),
        pytest.param([], "empty", id="empty"),
        pytest.param([1.0, None], "finite", id="null"),
        pytest.param([1.0, 1e300], "finite", id="beyond float32"),
        pytest.param([0.0, 0.0], "zeros", id="zeros"),
        pytest.param(["a", "b"], "no numbers", id="text"),
        pytest.param(None, "no list", id="no vector"),
        pytest.param([[1.0], [2.0]], "no list", id="nested"),
        pytest.param("AACAPwAAwH8=", "finite", id="base64 with NaN"),
        pytest.param("AACAPwAAgH8=", "finite", id="base64 with infinity"),
        pytest.param("AAAAAAAAAAA=", "zeros", id="base64 zeros"),
        pytest.param("AACAPw==", "1 dimensions, not 2", id="base64 of another dimension"),
        pytest.param("AACAPwA=", "base64", id="base64 of no whole float"),
        pytest.param("%%%%", "base64", id="no base64"),
    ],
)
async def test_one_bad_embedding_leaves_the_others_of_its_reply_usable(
    server: RawServer, provider_of: Callable[..., Provider], bad: Any, why: str
) -> None:
    server.answer(http(embeddings_body([1.0, 2.0], bad, "AABAQAAAgEA=")))

    reply = await provider_of().embed("text-embedding-3-small", ["a", "b", "c"])

    assert list(reply.flaws) == [1]
    assert why in reply.flaws[1]
    np.testing.assert_array_equal(reply.vectors[[0, 2]], np.array([[1, 2], [3, 4]], dtype=np.float32))


async def test_numbers_that_json_does_not_have_spoil_their_own_embedding_only(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    body = '{"data": [{"index": 0, "embedding": [NaN, 1.0]}, {"index": 1, "embedding": [-Infinity, 2]}, %s]}'
    server.answer(http((body % '{"index": 2, "embedding": [3.0, 4.0]}').encode()))

    reply = await provider_of().embed("text-embedding-3-small", ["a", "b", "c"])

    assert sorted(reply.flaws) == [0, 1]
    assert reply.vectors[2].tolist() == [3, 4]


async def test_embeddings_that_are_no_objects_are_malformed(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(http({"data": [[1.0, 2.0]], "usage": {"prompt_tokens": 4}}))
    with pytest.raises(MalformedAnswer):
        await provider_of().embed("text-embedding-3-small", ["a"])


@pytest.mark.parametrize("index", [[0, 0], [0, 2], [1, None], ["0", "1"]])
async def test_embeddings_whose_indexes_are_not_those_of_the_texts_are_malformed(
    server: RawServer, provider_of: Callable[..., Provider], index: list[Any]
) -> None:
    data = [{"index": i, "embedding": [1.0, 2.0]} for i in index]
    server.answer(http({"data": data, "usage": {"prompt_tokens": 4}}))
    with pytest.raises(MalformedAnswer):
        await provider_of().embed("text-embedding-3-small", ["a", "b"])


async def test_embeddings_of_another_dimension_than_asked_are_malformed(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    server.answer(http(embeddings_body([1.0, 2.0])))
    with pytest.raises(MalformedAnswer, match="2 dimensions, not 3"):
        await provider_of().embed("text-embedding-3-small", ["a"], 3)


async def test_embeddings_out_of_order_are_put_in_the_order_of_the_texts(
    server: RawServer, provider_of: Callable[..., Provider]
) -> None:
    data = [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}]
    server.answer(http({"data": data, "usage": {"prompt_tokens": 4}}))
    reply = await provider_of().embed("text-embedding-3-small", ["a", "b"])
    np.testing.assert_array_equal(reply.vectors, np.array([[1, 2], [3, 4]], dtype=np.float32))
    assert "data" not in reply.response
