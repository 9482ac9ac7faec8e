"""Runs a directory without ONNX weights with ``sentence-transformers``, where that is installed."""

from collections.abc import Sequence

import numpy as np
import sentence_transformers

from core.errors import InputError
from core.model import Vector
from core.providers.local.directory import ModelDirectory
from core.providers.local.models import Encoded, too_long


class TorchModel:
    """Implements ``LocalModel``."""

    def __init__(self, directory: ModelDirectory) -> None:
        try:
            self._model = sentence_transformers.SentenceTransformer(str(directory.path), local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError) as exc:
            raise InputError(f"{directory.path} is no model that sentence-transformers can load: {exc}") from exc

    @property
    def runtime(self) -> str:
        return f"sentence-transformers {sentence_transformers.__version__}"

    def encode(self, texts: Sequence[str]) -> Encoded:
        limit = self._model.max_seq_length
        sizes = [len(ids) for ids in self._model.tokenizer(list(texts), verbose=False)["input_ids"]]
        flaws = {at: too_long(size, limit) for at, size in enumerate(sizes) if limit and size > limit}
        good = [at for at in range(len(texts)) if at not in flaws]
        found: Vector = np.asarray(
            self._model.encode([texts[at] for at in good], convert_to_numpy=True, show_progress_bar=False),
            dtype=np.float32,
        ).reshape(len(good), -1)
        vectors: Vector = np.full((len(texts), found.shape[1] if good else 0), np.nan, dtype=np.float32)
        vectors[good] = found
        return Encoded(vectors=vectors, tokens=sum(sizes[at] for at in good), flaws=flaws)
