"""What the server needs to know of a well-formed request, whatever its endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a whole answer is billed, in tokens."""

    prompt: int
    completion: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


class Job(Protocol):
    """One request, read and priced, not yet answered."""

    @property
    def model(self) -> str: ...

    @property
    def fingerprints(self) -> Sequence[bytes]:
        """32 bytes each: one for a chat, one an input for embeddings."""
        ...

    @property
    def price(self) -> Price: ...

    def mentions(self, word: str) -> bool: ...

    def body(self, request_id: str) -> bytes:
        """The answer."""
        ...

    def spoiled(self, fault: str, request_id: str) -> bytes | None:
        """The answer, whole as HTTP goes, with a content that is wrong in one way; None: it has no such content."""
        ...
