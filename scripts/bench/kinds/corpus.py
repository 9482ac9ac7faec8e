"""5,000 documents, embedded and searched: docstrings of the installed packages, which are their documentation."""

import ast
import json
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from db import similarity, vector_index
from db.engine import connect
from scripts.bench.kinds.stage import Stage
from scripts.bench.report import Row

_DOCUMENTS = 5_000
_SHORTEST = 300
_MODEL = "text-embedding-3-small"
_DIMENSIONS = 512
_CHUNK, _OVERLAP = 64, 8  # small pieces: so many vectors that a search goes through the index
_QUERIES, _K = 100, 10
_NOISE = 0.1


def measure(stage: Stage) -> list[Row]:
    """Speed from submit to end, and recall of the index against measuring every vector."""
    path = stage.directory / "corpus.jsonl"
    documents = list(islice(_docstrings(), _DOCUMENTS))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": f"{n:05}", "text": text}) + "\n" for n, text in enumerate(documents))
    swept = stage.sweep(
        "corpus",
        "embedding",
        {"paths": [str(path)], "field": "text"},
        model=_MODEL,
        chunk_size=512,
        options={"chunk_tokens": _CHUNK, "overlap": _OVERLAP, "dimensions": _DIMENSIONS},
    )
    jobs = swept.status.jobs
    recall = _recall(stage, swept.name)
    return [
        Row(row="documents", value=len(documents), unit="documents", goal="5,000", holds=len(documents) == _DOCUMENTS),
        Row(row="pieces embedded", value=swept.status.done, unit="texts", goal="all", holds=swept.status.done == jobs),
        Row(row="calls", value=swept.status.calls, unit="calls"),
        Row(row="speed, submit to end", value=round(jobs / swept.seconds), unit="texts/s"),
        Row(row=f"recall@{_K} of the index", value=recall, unit="", goal=">= 0.99", holds=recall >= 0.99),
    ]


def _recall(stage: Stage, name: str) -> float:
    """Queries are vectors of the corpus with some noise, so that none of them is a vector that is stored."""
    random = np.random.default_rng(1)
    with stage.rows(name, vectors=True) as rows:
        vectors = [row.vector for row in rows if row.vector is not None]
    engine = connect(stage.world.database_url, role="producer", pool=1)
    try:
        vector_index.ensure_index(engine, model=_MODEL, dimension=_DIMENSIONS)
        found = 0
        for index in random.choice(len(vectors), _QUERIES, replace=False):
            noise = random.normal(size=_DIMENSIONS) * _NOISE / np.sqrt(_DIMENSIONS)
            query = (vectors[index] + noise).astype(np.float32)
            exact, indexed = (
                {hit.key for hit in similarity.search(engine, query, model=_MODEL, k=_K, exact=exact)}
                for exact in (True, False)
            )
            found += len(exact & indexed)
    finally:
        engine.dispose()
    return found / (_QUERIES * _K)


def _docstrings() -> Iterator[str]:
    """Long ones, each once, in the order of the files."""
    seen: set[str] = set()
    for path in sorted(Path(sysconfig.get_path("purelib")).rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, OSError):
            continue  # files for other versions of Python, and test files that are broken on purpose
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if len(text) >= _SHORTEST and text not in seen:
                    seen.add(text)
                    yield text
