"""What a model's directory says: no package of the extra is needed to read it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from core.providers.local.directory import find, read
from core.providers.local.pooling import normalised, pooled
from core.settings import Settings, cache_scope, default_model, forget, provider_settings

TOKENS = np.array([[[1, 2], [3, 6], [9, 9]], [[1, 1], [2, 2], [6, 3]]], dtype=np.float32)
MASK = np.array([[True, True, False], [True, True, True]])


def directory(root: Path, **files: Any) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in {"config": {}, **files}.items():
        path = root / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return root


def test_a_sentence_transformers_directory_is_read_as_it_says(tmp_path: Path) -> None:
    path = directory(
        tmp_path / "m",
        modules=[
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
        ],
        **{"1_Pooling__config": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}},
        sentence_bert_config={"max_seq_length": 256, "do_lower_case": True},
        config_sentence_transformers={"prompts": {"document": "passage: "}, "default_prompt_name": "document"},
    )

    found = read(path)

    assert (found.poolings, found.normalise, found.max_tokens, found.lower) == (("cls",), True, 256, True)
    assert (found.prompt, found.more, found.onnx) == ("passage: ", (), None)


def test_a_bare_export_is_pooled_by_the_mean_and_left_at_its_length(tmp_path: Path) -> None:
    path = directory(tmp_path / "m", config={"max_position_embeddings": 514, "model_type": "roberta"})

    found = read(path)

    assert (found.poolings, found.normalise, found.max_tokens) == (("mean",), False, 512)


def test_a_tokenizer_without_a_limit_is_one_without_a_limit(tmp_path: Path) -> None:
    assert read(directory(tmp_path / "m", tokenizer_config={"model_max_length": 10**30})).max_tokens is None


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"modules": {"a": 1}}, "no list of modules"),
        ({"config": [1]}, "no JSON object"),
        ({"modules": [{"type": "Pooling", "path": "p"}], "p__config": {}}, "no known way of pooling"),
        ({"modules": [{"type": "Pooling", "path": "p"}], "p__config": {"pooling_mode": "magic"}}, "pooling"),
    ],
)
def test_a_directory_that_makes_no_sense_is_named(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(directory(tmp_path / "m", **files))


def test_several_onnx_files_are_not_guessed_among(tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    for name in ("a.onnx", "b.onnx"):
        (path / name).touch()

    with pytest.raises(InputError, match=r"a\.onnx, b\.onnx"):
        read(path)


@pytest.mark.parametrize("model", ["../m", "/etc", "none"])
def test_a_model_is_looked_for_below_the_path_only(tmp_path: Path, model: str) -> None:
    directory(tmp_path / "m")
    directory(tmp_path / "models" / "own")

    assert find(tmp_path / "models", "own").path.name == "own"
    with pytest.raises(InputError, match="no model") as caught:
        find(tmp_path / "models", model)
    assert "own" in caught.value.hint


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [[1, 2], [1, 1]]),
        ("lasttoken", [[3, 6], [6, 3]]),
        ("max", [[3, 6], [6, 3]]),
        ("mean", [[2, 4], [3, 2]]),
        ("mean_sqrt_len_tokens", [[4 / 2**0.5, 8 / 2**0.5], [9 / 3**0.5, 6 / 3**0.5]]),
        ("weightedmean", [[7 / 3, 14 / 3], [23 / 6, 14 / 6]]),
    ],
)
def test_padding_never_weighs(mode: str, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(pooled(TOKENS, MASK, [mode]), np.array(expected, dtype=np.float64), rtol=1e-6)


def test_several_poolings_are_joined_in_order() -> None:
    assert pooled(TOKENS, MASK, ["cls", "mean"])[0].tolist() == [1, 2, 2, 4]


def test_a_normalised_row_has_length_one_and_zeros_stay() -> None:
    rows = np.array([[3, 4], [0, 0]], dtype=np.float32)

    np.testing.assert_allclose(normalised(rows), np.array([[0.6, 0.8], [0, 0]]), rtol=1e-6)


def test_without_a_path_or_the_extra_the_provider_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCAL_MODEL_PATH", raising=False)
    forget()
    with pytest.raises(InputError, match="no model") as caught:
        Settings().provider("local")
    assert "LOCAL_MODEL_PATH" in caught.value.hint

    monkeypatch.setenv("LOCAL_MODEL_PATH", str(tmp_path / "gone"))
    forget()
    with pytest.raises(InputError, match="no directory"):
        Settings().provider("local")
    forget()


def test_the_directorys_name_is_the_model_and_other_weights_are_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = directory(tmp_path / "small-v2")
    monkeypatch.setenv("LOCAL_MODEL_PATH", str(path))
    forget()
    loaded = provider_settings("local")
    before = cache_scope("local", loaded)
    (path / "model.onnx").write_bytes(b"weights")

    assert default_model("local", embedding=True) == "small-v2"
    assert cache_scope("local", loaded) != before
    forget()
