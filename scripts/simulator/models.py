"""``/v1/models``, and which model serves which endpoint."""

from collections.abc import Sequence
from typing import Any

from scripts.simulator.refusals import Refusal, Refused, no_such_model

KNOWN = (
    "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo",
    "claude-sonnet-4-5", "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002",
)  # fmt: skip
_CREATED = 1_735_689_600  # 2025-01-01
_EMBEDDING = "text-embedding-"
_CHAT = ("gpt-", "o1", "o3", "o4", "claude-")


class Models:
    """``only``: the models that exist; empty: every name is served."""

    def __init__(self, only: Sequence[str]) -> None:
        self._only = only

    def listed(self) -> dict[str, Any]:
        return {"object": "list", "data": [_described(name) for name in self._only or KNOWN]}

    def one(self, name: str) -> dict[str, Any]:
        """Raises Refused for a model that is not listed."""
        if name not in (self._only or KNOWN):
            raise no_such_model(name)
        return _described(name)

    def check_chat(self, name: str) -> None:
        """Raises Refused for a model that does not exist or does not chat."""
        self._check(name)
        if name.startswith(_EMBEDDING):
            raise Refused(
                Refusal(
                    status=404,
                    message="This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did "
                    "you mean to use v1/completions?",
                    param="model",
                )
            )

    def check_embedding(self, name: str) -> None:
        """Raises Refused for a model that does not exist or does not embed."""
        self._check(name)
        if name.startswith(_CHAT):
            raise Refused(Refusal(status=403, message="You are not allowed to generate embeddings from this model"))

    def _check(self, name: str) -> None:
        if self._only and name not in self._only:
            raise no_such_model(name)


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "simulator"}
