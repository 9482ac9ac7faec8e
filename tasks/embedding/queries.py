"""The rows of a SQL query as documents."""

from collections.abc import Iterator

from db.query import rows
from tasks.embedding.documents import Read, from_row
from tasks.embedding.spec import EmbeddingSource


def documents(source: EmbeddingSource) -> Iterator[Read]:
    """One document a row, in the query's order. Raises InputError."""
    if source.url is None or source.query is None:
        return
    for number, row in enumerate(rows(source.url, source.query), start=1):
        yield from_row(row, where=f"row {number}", field=source.column or "text", key=source.key, title="")
