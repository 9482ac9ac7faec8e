"""What a sweep's spec may say about embedding: where the texts are, and how they are cut."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_TOKENS = 8_191
"""Tokens that OpenAI's embedding models take in one text, less one for safety."""


class EmbeddingSource(BaseModel):
    """Files and directories, the descriptions that installed Python packages carry, and the rows of a SQL query.

    In directories, text, Markdown, reStructuredText and HTML are read, and JSONL or CSV where ``field`` or ``column``
    is given. A file named by itself is read whatever its name; ``field`` and ``column`` are then ``text`` by default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: tuple[str, ...] = ()
    field: str | None = None  # of a JSONL object: the text
    column: str | None = None  # of a CSV row: the text
    key: str | None = None  # field or column that names the document; default: id, else file and line
    encoding: str = "utf-8"  # of text files without a byte order mark
    packages: bool | tuple[str, ...] = False  # True: all installed distributions
    url: str | None = None  # of a database, for ``query``
    query: str | None = None  # SQL, a document a row; ``column`` and ``key`` name its columns

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.paths or self.packages or self.query):
            raise ValueError("name at least one path, packages, or a query")
        if bool(self.url) != bool(self.query):
            raise ValueError("a query needs the url of its database, and a url a query")
        return self


class EmbeddingOptions(BaseModel):
    """Chunk sizes in tokens. ``dimensions``: fewer than the model's own, where the model can shorten its vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk_tokens: int = Field(default=400, ge=16, le=MOST_TOKENS)
    overlap: int = Field(default=40, ge=0)
    dimensions: int | None = Field(default=None, ge=1, le=16_000)

    @model_validator(mode="after")
    def _overlap_is_less_than_half(self) -> Self:
        if self.overlap * 2 > self.chunk_tokens:
            raise ValueError("overlap must be at most half of chunk_tokens")
        return self
