"""Kind ``embedding``: documents -> chunks -> one text to embed each -> a vector that is checked."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from core.errors import InputError
from core.model import (
    Accepted,
    Answer,
    EmbeddingRequest,
    Job,
    JobDraft,
    JsonObject,
    Message,
    Rejected,
    ResultRow,
    Variant,
    Verdict,
)
from core.preprocess import normalise_text
from tasks.drafts import checked
from tasks.embedding import chunking, files, packages, queries
from tasks.embedding.documents import Document
from tasks.embedding.markup import CLEANING_VERSION, clean
from tasks.embedding.spec import EmbeddingOptions, EmbeddingSource
from tasks.kind import Found, Problem

_VERSION = f"embedding/{CLEANING_VERSION}"


class EmbeddingKind:
    """Implements ``tasks.kind.SweepKind``. Has no rule-based vectors: while a provider is away, its jobs wait."""

    name = "embedding"
    source_model: type[BaseModel] = EmbeddingSource
    options_model: type[BaseModel] = EmbeddingOptions
    formats: Sequence[str] = ("npy", "parquet")
    wants_vectors = True

    def jobs(self, source: JsonObject, options: JsonObject) -> Iterator[Found]:
        """One job a chunk, keyed ``<document>#<no>``."""
        wanted = EmbeddingSource.model_validate(source)
        chosen = EmbeddingOptions.model_validate(options)
        size = chunking.Size(chunk=chosen.chunk_tokens, overlap=chosen.overlap)
        read = chain(
            files.documents(wanted),
            packages.documents(wanted.packages) if wanted.packages else (),
            queries.documents(wanted),
        )
        found = chain.from_iterable(
            (document,) if isinstance(document, Problem) else _chunks(document, size) for document in read
        )
        return checked(
            found,
            nothing=f"there is no text to embed{_in(wanted)}",
            hint="text, Markdown, reST, HTML, JSONL and CSV are read",
        )

    def request(self, job: Job, variant: Variant, options: JsonObject) -> EmbeddingRequest:
        unknown = ", ".join(sorted(set(variant.params) - {"dimensions"}))
        if unknown:
            raise InputError(f"embedding takes no parameter {unknown}", hint="--param dimensions=256,1024")
        return EmbeddingRequest(
            provider=variant.provider,
            model=variant.model,
            text=normalise_text(job.input["text"]),
            dimensions=_dimensions(variant, options),
            version=_VERSION,
        )

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:  # noqa: ARG002 - the port's
        vector = answer.vector
        if vector is None or vector.ndim != 1 or not vector.size:
            return Rejected(reason="no vector came back")
        wide = vector.astype(np.float64)
        norm = math.sqrt(wide @ wide)
        if not math.isfinite(norm):
            return Rejected(reason="the vector holds values that are not finite")
        if norm == 0:
            return Rejected(reason="the vector is zero")
        return Accepted(result={"dimension": int(vector.size), "norm": round(norm, 6)})

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:  # noqa: ARG002 - the port's
        return None

    def answer(self, messages: Sequence[Message]) -> str | None:  # noqa: ARG002 - the port's
        return None

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        from tasks.embedding import export  # noqa: PLC0415 - workers export nothing: Parquet's 8 MB are not for them

        match fmt:
            case "npy":
                return export.write_npy(rows, out)
            case "parquet":
                return export.write_parquet(rows, out)
            case _:
                raise InputError(f"embedding has no format {fmt!r}", hint="formats: npy, parquet, jsonl")


def _in(source: EmbeddingSource) -> str:
    return f" in {', '.join(source.paths[:3])}" if source.paths else ""


def _chunks(document: Document, size: chunking.Size) -> Iterator[Found]:
    sections = chunking.sections(clean(document.markup, document.pieces()), size)
    position = 0
    title = document.title
    try:
        for text, section in chunking.chunks(sections, size):
            normal = normalise_text(text)
            if not normal:
                continue
            position += 1
            if position == 1 and section.heading:
                title = normalise_text(section.heading)
            yield _draft(document, position, normal, title)
    except (OSError, UnicodeError) as exc:
        yield Problem(where=document.key, what=f"changed while it was read: {exc}")
        return
    if not position:
        yield Problem(where=document.key, what="empty: there is no text in it")


def _draft(document: Document, position: int, text: str, title: str) -> JobDraft:
    return JobDraft(
        key=f"{document.key}#{position:04}",
        input={
            "document": document.key,
            "position": position,
            "text": text,
            "title": title,
            "sha256": document.sha256,
        },
    )


def _dimensions(variant: Variant, options: JsonObject) -> int | None:
    chosen = variant.params.get("dimensions", options.get("dimensions"))
    if chosen is None:
        return None
    if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 1:
        raise InputError(f"dimensions must be a whole number above 0, not {chosen!r}")
    return chosen


KIND = EmbeddingKind()
