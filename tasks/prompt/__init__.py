"""Kind ``prompt``: a plain prompt a record, from JSONL or CSV."""

from tasks.prompt.kind import KIND

__all__ = ["KIND"]
