"""Token counts: exact by tiktoken, or a quarter of the characters where a bench asks for cheap ones."""

from collections.abc import Sequence
from typing import Protocol

from core import tokens
from core.model import Message, ResponseSchema


class Counting(Protocol):
    """How tokens are counted."""

    def text(self, text: str, model: str) -> int: ...

    def prompt(self, messages: Sequence[Message], model: str, schema: ResponseSchema | None) -> int: ...

    def cut(self, text: str, most: int, model: str) -> str:
        """The longest start of a text that has at most ``most`` tokens."""
        ...

    def decode(self, ids: Sequence[int], model: str) -> str:
        """The text of token ids. Raises ValueError for ids that are no tokens."""
        ...


class Exact:
    """OpenAI's own tokenizers."""

    def text(self, text: str, model: str) -> int:
        return tokens.count(text, model)

    def prompt(self, messages: Sequence[Message], model: str, schema: ResponseSchema | None) -> int:
        return tokens.count_messages(messages, model, schema)

    def cut(self, text: str, most: int, model: str) -> str:
        return tokens.truncate(text, most, model)

    def decode(self, ids: Sequence[int], model: str) -> str:
        encoding, _ = tokens.encoding_for(model)
        try:
            return encoding.decode(list(ids))
        except (KeyError, OverflowError) as exc:
            raise ValueError(f"no such token: {exc}") from exc


class Approximate:
    """Four characters a token, at least one."""

    def text(self, text: str, model: str) -> int:  # noqa: ARG002  the same for all
        return len(text) // 4 + 1

    def prompt(self, messages: Sequence[Message], model: str, schema: ResponseSchema | None) -> int:  # noqa: ARG002
        return tokens.PER_REPLY + sum(tokens.PER_MESSAGE + len(m.content) // 4 + 1 for m in messages)

    def cut(self, text: str, most: int, model: str) -> str:  # noqa: ARG002
        return text[: 4 * most - 1]

    def decode(self, ids: Sequence[int], model: str) -> str:  # noqa: ARG002
        return " ".join(map(str, ids))
