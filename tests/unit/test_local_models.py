"""The provider ``local`` on a tiny ONNX model that is made here, against the same sums in numpy."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InputError, ProviderRefused
from core.model import ChatRequest, EmbeddingReply, Message
from core.providers import create
from core.settings import ProviderSettings
from tests.tiny_model import TABLE, WORDS, tiny

pytest.importorskip("onnx", reason="the extra `local` is not installed (make local)")
pytest.importorskip("onnxruntime", reason="the extra `local` is not installed (make local)")
pytest.importorskip("tokenizers", reason="the extra `local` is not installed (make local)")

CHAT = ChatRequest(provider="local", model="tiny", messages=(Message(role="user", content="hello"),))


def expected(text: str, *, cls: bool = False, unit: bool = True) -> Any:
    rows = TABLE[[2, *(WORDS.index(word) if word in WORDS else 1 for word in text.split()), 3]]
    vector = rows[0] if cls else rows.mean(axis=0)
    return vector / np.linalg.norm(vector) if unit else vector


def embed(path: Path, *texts: str, model: str = "tiny", dimensions: int | None = None) -> EmbeddingReply:
    async def ask() -> EmbeddingReply:
        provider = create("local", ProviderSettings(model_path=path))
        try:
            return await provider.embed(model, texts, dimensions)
        finally:
            await provider.close()

    return asyncio.run(ask())


TEXTS = ("alpha", "beta gamma delta alpha", "gamma unheard", "delta delta")


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_vectors_are_what_the_same_sums_give_in_numpy(tmp_path: Path, *, pooling: str, unit: bool) -> None:
    path = tiny(tmp_path, pooling=pooling, normalise=unit)

    reply = embed(path, *TEXTS)

    wanted = [expected(text, cls=pooling == "cls_token", unit=unit) for text in TEXTS]
    np.testing.assert_allclose(reply.vectors, np.stack(wanted), rtol=1e-5, atol=1e-6)
    assert reply.vectors.dtype == np.float32
    assert reply.usage.prompt == sum(len(text.split()) + 2 for text in TEXTS)
    assert "onnxruntime" in reply.response["runtime"]


def test_a_text_has_the_same_vector_whatever_is_beside_it(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    many = [" ".join(WORDS[4 + at % 4] for at in range(1 + n % 12)) for n in range(100)]

    together = embed(path, *many)

    for at in (0, 17, 99):
        np.testing.assert_allclose(together.vectors[at], embed(path, many[at]).vectors[0], rtol=1e-5, atol=1e-6)


def test_a_directory_of_several_models_is_asked_by_name(tmp_path: Path) -> None:
    tiny(tmp_path)

    np.testing.assert_allclose(embed(tmp_path, "alpha").vectors[0], expected("alpha"), rtol=1e-5)
    with pytest.raises(ProviderRefused, match="no model 'other'") as caught:
        embed(tmp_path, "alpha", model="other")
    assert caught.value.status == 404


def test_a_text_over_the_models_limit_fails_alone_and_is_not_cut(tmp_path: Path) -> None:
    path = tiny(tmp_path, most=6)

    reply = embed(path, "alpha", "beta " * 5, "gamma")

    assert reply.flaws == {1: "the text has 7 tokens, and the model takes 6"}
    np.testing.assert_allclose(reply.vectors[2], expected("gamma"), rtol=1e-5)
    with pytest.raises(ProviderRefused, match="7 tokens") as caught:
        embed(path, "beta " * 5)
    assert caught.value.status == 400


def test_fewer_dimensions_are_the_first_ones_at_length_one(tmp_path: Path) -> None:
    path = tiny(tmp_path)

    short = embed(path, "alpha", dimensions=2).vectors[0]

    whole = expected("alpha")[:2]
    np.testing.assert_allclose(short, whole / np.linalg.norm(whole), rtol=1e-5)
    with pytest.raises(ProviderRefused, match="4 dimensions, not 5"):
        embed(path, "alpha", dimensions=5)


def test_an_export_that_wants_what_a_text_has_not_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ProviderRefused, match="pixel_values"):
        embed(tiny(tmp_path, extra="pixel_values"), "alpha")


def test_token_types_are_given_to_those_who_want_them(tmp_path: Path) -> None:
    reply = embed(tiny(tmp_path, extra="token_type_ids"), "alpha")

    np.testing.assert_allclose(reply.vectors[0], expected("alpha"), rtol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_broken_or_gone_is_named(tmp_path: Path, name: str) -> None:
    path = tiny(tmp_path)
    (path / name).write_bytes(b"\x00broken")
    with pytest.raises(ProviderRefused, match=name):
        embed(path, "alpha")


async def test_the_event_loop_turns_while_the_model_computes(tmp_path: Path) -> None:
    provider = create("local", ProviderSettings(model_path=tiny(tmp_path)))
    turns = 0

    work = asyncio.create_task(provider.embed("tiny", ["alpha beta gamma"] * 2_000))
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    await provider.close()

    assert turns > 1
    assert len((await work).vectors) == 2_000


async def test_it_writes_no_answers_and_says_so(tmp_path: Path) -> None:
    provider = create("local", ProviderSettings(model_path=tiny(tmp_path)))
    with pytest.raises(ProviderRefused, match="embeddings only"):
        await provider.chat(CHAT)
    await provider.close()


def test_without_a_path_there_is_no_provider() -> None:
    with pytest.raises(InputError, match="no model"):
        create("local", ProviderSettings())


def test_without_the_packages_the_extra_is_named(tmp_path: Path) -> None:
    hidden = (
        "import sys; sys.modules.update(onnxruntime=None, tokenizers=None)\n"
        "from pathlib import Path\n"
        "from core.errors import InputError\n"
        "from core.providers.local.directory import read\n"
        "from core.providers.local.models import load\n"
        "try:\n    load(read(Path(sys.argv[1])))\nexcept InputError as exc:\n    print(exc, '|', exc.hint)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", hidden, str(tiny(tmp_path))], capture_output=True, text=True, check=True
    )
    assert "onnxruntime" in told.stdout
    assert "pip install llmsweep[local]" in told.stdout
