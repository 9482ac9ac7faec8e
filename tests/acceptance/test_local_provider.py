"""The provider ``local`` from the command line: a directory of one's own, a worker, a search."""

import pytest

from tests.commands import World
from tests.tiny_model import tiny

for package in ("onnx", "onnxruntime", "tokenizers"):
    pytest.importorskip(package, reason="the extra `local` is not installed (make local)")


def test_a_directory_of_ones_own_embeds_a_corpus_for_nothing(world: World) -> None:
    path = str(tiny(world.folder / "models"))
    docs = world.folder / "own"
    docs.mkdir()
    for name, text in {"one": "alpha beta", "two": "gamma", "long": "beta " * 30}.items():
        (docs / f"{name}.txt").write_text(text)
    with (world.folder / "local.log").open("w") as log:
        worker = world.start("worker", "-p", "local", stderr=log, LOCAL_MODEL_PATH=path)
        try:
            words = ("submit", "embedding", "own", "-n", "own", "-p", "local", "--watch")
            told = world.sweep(*words, code=1, LOCAL_MODEL_PATH=path)
            hits = world.sweep("search", "gamma", "--sweep", "own", "-k", "1", "--json", LOCAL_MODEL_PATH=path).json()
        finally:
            worker.terminate()
            worker.wait(30)

    assert "probed local/tiny: 4 dimensions, normalised, texts of up to 16 tokens; longer texts fail" in told.err
    status = world.sweep("status", "own", "--json", code=1).json()
    assert (status["done"], status["failed"], status["cost_usd"]) == (2, 1, 0)
    (failed,) = [line for line in world.sweep("export", "own").lines() if line["state"] == "failed"]
    assert failed["error"]["message"] == "the text has 32 tokens, and the model takes 16"
    assert hits[0]["key"] == "own/two.txt#0001"
