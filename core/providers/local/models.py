"""A model that is loaded, whatever runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import InputError
from core.model import Vector
from core.providers.local.directory import ModelDirectory
from core.settings import LOCAL_EXTRA


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """``vectors``: float32, shape (texts, dimension). ``flaws``: text -> why it has none; its row means nothing."""

    vectors: Vector
    tokens: int
    flaws: Mapping[int, str]


class LocalModel(Protocol):
    """Blocks while it computes: not for an event loop's thread."""

    @property
    def runtime(self) -> str:
        """What runs it, and its version."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Raises InputError for what the directory promises and the weights do not keep."""
        ...


def load(directory: ModelDirectory) -> LocalModel:
    """ONNX weights where there are any: they need the lighter packages. Raises InputError. Downloads nothing."""
    try:
        if directory.onnx is not None:
            from core.providers.local.onnx_model import OnnxModel  # noqa: PLC0415 - an extra that few install

            return OnnxModel(directory, directory.onnx)
        from core.providers.local.torch_model import TorchModel  # noqa: PLC0415 - likewise

        return TorchModel(directory)
    except ImportError as exc:
        wanted = (
            LOCAL_EXTRA if directory.onnx is not None else "pip install sentence-transformers, or export it to ONNX"
        )
        raise InputError(f"{directory.path} needs the package {exc.name}, which is not here", hint=wanted) from exc


def too_long(tokens: int, limit: int) -> str:
    """Why a text has no vector: nothing is cut off silently."""
    return f"the text has {tokens} tokens, and the model takes {limit}"
