"""Kind ``embedding``: documents, cut into chunks, as vectors."""

from tasks.embedding.kind import KIND

__all__ = ["KIND"]
