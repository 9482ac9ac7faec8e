"""What a model's directory says of itself: the files that sentence-transformers and Hugging Face exports write.

https://www.sbert.net/docs/sentence_transformer/usage/custom_models.html: ``modules.json`` names the steps,
``1_Pooling/config.json`` how token vectors become one, ``sentence_bert_config.json`` the longest text.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError

_MARKS = ("modules.json", "config.json", "model.onnx", "onnx")
_WEIGHTS = ("onnx/model.onnx", "model.onnx")
_POOLINGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
"""In the order in which sentence-transformers joins them; its newer versions write the names on the left."""

_ENDLESS = 1_000_000  # tokenizers without a limit say so with an absurdly large one
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}  # their first two are padding's


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDirectory:
    """A model as its directory describes it. ``onnx`` None: only sentence-transformers can run it."""

    path: Path
    onnx: Path | None
    tokenizer: Path
    max_tokens: int | None  # special tokens included; None: the directory does not say
    lower: bool
    prompt: str  # goes before each text
    poolings: tuple[str, ...]
    normalise: bool
    pad_id: int
    more: tuple[str, ...]  # modules that only sentence-transformers knows


def find(root: Path, model: str) -> ModelDirectory:
    """The model ``model``: ``root`` itself, or a directory below it. Raises InputError."""
    inside = Path(model)
    if _is_model(root):
        if model != root.name:
            raise InputError(f"LOCAL_MODEL_PATH holds the model {root.name!r}, not {model!r}", hint=f"-m {root.name}")
        return read(root)
    if inside.is_absolute() or ".." in inside.parts or not _is_model(root / inside):
        known = ", ".join(sorted(path.name for path in _below(root) if _is_model(path))[:10])
        hint = f"there are: {known}" if known else "no directory there holds a model"
        raise InputError(f"LOCAL_MODEL_PATH has no model {model!r}", hint=hint)
    return read(root / inside)


def read(path: Path) -> ModelDirectory:
    """Raises InputError for files that cannot be read, or say what nobody can run."""
    modules = [(str(entry.get("type", "")).rpartition(".")[2], str(entry.get("path", ""))) for entry in _modules(path)]
    pooling = next((where for name, where in modules if name == "Pooling"), None)
    home = path / next((where for name, where in modules if name == "Transformer"), "")
    config, tokens, sentence = (
        _json(home / name) for name in ("config.json", "tokenizer_config.json", "sentence_bert_config.json")
    )
    return ModelDirectory(
        path=path,
        onnx=_onnx(path) or _onnx(home),
        tokenizer=home / "tokenizer.json",
        max_tokens=_max_tokens(config, tokens, sentence),
        lower=bool(sentence.get("do_lower_case")),
        prompt=_prompt(path),
        poolings=("mean",) if pooling is None else _poolings(path / pooling),
        normalise=any(name == "Normalize" for name, _ in modules),
        pad_id=int(config.get("pad_token_id") or 0),
        more=tuple(name for name, _ in modules if name not in {"Transformer", "Pooling", "Normalize"}),
    )


def _is_model(path: Path) -> bool:
    return path.is_dir() and any((path / mark).exists() for mark in _MARKS)


def _below(root: Path) -> Iterator[Path]:
    try:
        yield from (path for path in root.iterdir() if path.is_dir())
    except OSError as exc:
        raise InputError(f"LOCAL_MODEL_PATH {root} cannot be read: {exc.strerror}") from exc


def _onnx(path: Path) -> Path | None:
    named = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if named is not None:
        return named
    others = sorted([*path.glob("*.onnx"), *path.glob("onnx/*.onnx")])
    if len(others) > 1:
        names = ", ".join(other.name for other in others[:5])
        raise InputError(f"{path} holds several ONNX files: {names}", hint="name the one that is meant model.onnx")
    return others[0] if others else None


def _max_tokens(config: Mapping[str, Any], tokens: Mapping[str, Any], sentence: Mapping[str, Any]) -> int | None:
    if isinstance(given := sentence.get("max_seq_length"), int):
        return given
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and config.get("model_type") in _OFFSET_POSITIONS:
        positions -= 2
    limits = [limit for limit in (tokens.get("model_max_length"), positions) if isinstance(limit, int)]
    return min((limit for limit in limits if 0 < limit < _ENDLESS), default=None)


def _prompt(path: Path) -> str:
    config = _json(path / "config_sentence_transformers.json")
    prompts, name = config.get("prompts"), config.get("default_prompt_name")
    return str(prompts.get(name, "")) if isinstance(prompts, dict) and name else ""


def _poolings(path: Path) -> tuple[str, ...]:
    config = _json(path / "config.json")
    given = config.get("pooling_mode")
    wanted = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    chosen = tuple(name for name, key in _POOLINGS.items() if config.get(key) or name in wanted)
    if not chosen or set(wanted) - set(_POOLINGS):
        raise InputError(f"{path / 'config.json'} names no known way of pooling", hint=f"known: {', '.join(_POOLINGS)}")
    return chosen


def _modules(path: Path) -> list[Any]:
    found = _load(path / "modules.json", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise InputError(f"{path / 'modules.json'} is no list of modules")
    return found


def _json(path: Path) -> Mapping[str, Any]:
    found = _load(path, {})
    if not isinstance(found, dict):
        raise InputError(f"{path} is no JSON object")
    return found


def _load(path: Path, missing: object) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return missing
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} cannot be read: {exc}") from exc
