import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sqlalchemy
from psycopg2.extras import execute_values

from core.errors import InputError
from core.model import VectorRecord
from db import similarity
from db.engine import connect, transaction
from db.rows import VECTOR_COLUMNS, vector_stream
from db.similarity import Hit, search
from db.vector_audit import orphans, prune
from db.vector_index import IndexState, Space, ensure_index, index_name, spaces
from workers.indexer import Indexer

Vectors = npt.NDArray[np.float32]


class World:
    """Sweeps with embedded texts, as the recorder would have written them."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self.engine = engine
        self._calls = 0

    def sweep(
        self, name: str, texts: Sequence[str], vectors: Vectors, *, model: str = "small", kind: str = "embedding"
    ) -> None:
        """One finished sweep of one call. Texts that an earlier sweep embedded share its vectors."""
        self._calls += 1
        prints = [hashlib.sha256(f"{model} {text}".encode()).hexdigest() for text in texts]
        with transaction(self.engine) as cursor:
            self._call(cursor, model)
            sweep_id = self._sweep(cursor, name, kind)
            jobs = [
                (sweep_id, f"{name}/{i}", json.dumps({"text": text, "title": "T"}), print_, self._calls)
                for i, (text, print_) in enumerate(zip(texts, prints, strict=True))
            ]
            execute_values(
                cursor,
                "INSERT INTO jobs (sweep_id, chunk_no, key, input_json, fingerprint, state, call_id) VALUES %s",
                jobs,
                template="(%s, 0, %s, %s, %s, 'done', %s)",
            )
            self._vectors(cursor, model, prints, vectors)

    def _call(self, cursor: Any, model: str) -> None:
        cursor.execute(
            "INSERT INTO raw_calls (id, provider, model, modality, status, fingerprint, request_json)"
            " VALUES (%s, 'openai', %s, 'embedding', 'success', %s, '{}')",
            (self._calls, model, str(self._calls)),
        )

    def _sweep(self, cursor: Any, name: str, kind: str) -> int:
        cursor.execute("INSERT INTO groups (group_type, name) VALUES ('sweep', %s) RETURNING id", (name,))
        ((group_id,),) = cursor.fetchall()
        cursor.execute(
            "INSERT INTO sweeps (group_id, kind, spec_json, digest, state)"
            " VALUES (%s, %s, '{}', '', 'done') RETURNING id",
            (group_id, kind),
        )
        ((sweep_id,),) = cursor.fetchall()
        cursor.execute("INSERT INTO group_members (group_id, call_id) VALUES (%s, %s)", (group_id, self._calls))
        return int(sweep_id)

    def _vectors(self, cursor: Any, model: str, prints: Sequence[str], vectors: Vectors) -> None:
        records = [
            VectorRecord(call_id=self._calls, position=i, fingerprint=print_, model=model, vector=vector)
            for i, (print_, vector) in enumerate(zip(prints, vectors, strict=True))
        ]
        cursor.execute("CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT * FROM embedding_vectors WITH NO DATA")
        cursor.copy_expert(f"COPY staged ({VECTOR_COLUMNS}) FROM STDIN (FORMAT binary)", vector_stream(records))
        columns = VECTOR_COLUMNS
        cursor.execute(f"INSERT INTO embedding_vectors ({columns}) SELECT {columns} FROM staged ON CONFLICT DO NOTHING")

    def execute(self, statement: str) -> None:
        with transaction(self.engine) as cursor:
            cursor.execute(statement)

    def indexes(self) -> dict[str, bool]:
        with transaction(self.engine) as cursor:
            cursor.execute(
                "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " WHERE i.indrelid = 'embedding_vectors'::regclass AND c.relname LIKE 'vectors_hnsw%'"
            )
            return dict(cursor.fetchall())


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    engine = connect(database_url, role="reader")
    yield World(engine)
    engine.dispose()


def _corpus(count: int, dimension: int = 32, *, seed: int = 7) -> Vectors:
    """Clustered as texts are: a topic, and noise around it."""
    chance = np.random.default_rng(seed)
    topics = chance.normal(size=(50, dimension))
    return (topics[chance.integers(0, 50, count)] + chance.normal(size=(count, dimension))).astype(np.float32)


def _keys(hits: Sequence[Hit]) -> list[str]:
    return [hit.key for hit in hits]


def test_the_nearest_text_comes_first_with_its_key_sweep_and_score(world: World) -> None:
    world.sweep("docs", ["north", "east", "north east"], np.array([[0, 1], [1, 0], [1, 1]], dtype=np.float32))

    hits = search(world.engine, np.array([0, 2], dtype=np.float32), model="small", k=2)

    assert _keys(hits) == ["docs/0", "docs/2"]
    assert hits[0] == Hit(key="docs/0", score=1.0, text="north", title="T", sweep="docs", kind="embedding", call_id=1)
    assert hits[1].score == pytest.approx(2**-0.5)


def test_recall_at_10_of_the_index_is_at_least_99_percent_of_the_exact_search(world: World) -> None:
    world.sweep("docs", [f"text {i}" for i in range(12_000)], _corpus(12_000))
    assert ensure_index(world.engine, model="small", dimension=32) is IndexState.BUILT

    queries = _corpus(20, seed=8)
    near = [set(_keys(search(world.engine, query, model="small"))) for query in queries]
    true = [set(_keys(search(world.engine, query, model="small", exact=True))) for query in queries]

    assert sum(len(a & b) for a, b in zip(near, true, strict=True)) >= 0.99 * 200


@pytest.mark.slow
def test_recall_holds_on_noise_where_every_vector_is_far_from_every_other(world: World) -> None:
    chance = np.random.default_rng(5)
    world.sweep("noise", [f"text {i}" for i in range(12_000)], chance.normal(size=(12_000, 64)).astype(np.float32))
    ensure_index(world.engine, model="small", dimension=64)

    queries = chance.normal(size=(20, 64)).astype(np.float32)
    near = [set(_keys(search(world.engine, query, model="small"))) for query in queries]
    true = [set(_keys(search(world.engine, query, model="small", exact=True))) for query in queries]

    assert sum(len(a & b) for a, b in zip(near, true, strict=True)) >= 0.99 * 200


@pytest.mark.parametrize("repeats", [1, 400], ids=["measured one by one", "through the index"])
def test_a_filtered_search_is_complete_even_when_all_near_texts_belong_to_others(world: World, repeats: int) -> None:
    query = np.zeros(16, dtype=np.float32)
    query[0] = 1
    chance = np.random.default_rng(1)
    near = query + chance.normal(scale=0.01, size=(10_000, 16)).astype(np.float32)
    far = -query + chance.normal(scale=0.01, size=(30, 16)).astype(np.float32)
    world.sweep("near", [f"near {i}" for i in range(10_000)], near)
    world.sweep("far", [f"far {i}" for i in range(30)] * repeats, np.tile(far, (repeats, 1)))
    ensure_index(world.engine, model="small", dimension=16)

    hits = search(world.engine, query, model="small", k=25, sweep="far")

    assert len(hits) == 25
    assert {hit.sweep for hit in hits} == {"far"}
    assert _keys(hits) == _keys(search(world.engine, query, model="small", k=25, sweep="far", exact=True))


def test_a_search_by_kind_leaves_other_kinds_out(world: World) -> None:
    world.sweep("docs", ["a"], np.array([[1, 0]], dtype=np.float32))
    world.sweep("notes", ["b"], np.array([[0, 1]], dtype=np.float32), kind="notes")

    hits = search(world.engine, np.array([1, 0], dtype=np.float32), model="small", kind="notes")

    assert _keys(hits) == ["notes/0"]


def test_a_text_that_two_sweeps_share_is_one_hit_of_the_sweep_asked_for(world: World) -> None:
    same = np.array([[1, 0]], dtype=np.float32)
    world.sweep("old", ["shared"], same)
    world.sweep("new", ["shared"], same)

    assert _keys(search(world.engine, same[0], model="small")) == ["new/0"]
    assert _keys(search(world.engine, same[0], model="small", sweep="old")) == ["old/0"]


def test_spaces_of_other_models_and_dimensions_do_not_mix(world: World) -> None:
    world.sweep("a", ["x"], np.array([[1, 0]], dtype=np.float32))
    world.sweep("b", ["x"], np.array([[1, 0, 0]], dtype=np.float32), model="large")
    world.sweep("c", ["y"], np.array([[1, 0, 0]], dtype=np.float32), model="small")

    assert _keys(search(world.engine, np.array([1, 0, 0], dtype=np.float32), model="small")) == ["c/0"]
    assert set(spaces(world.engine)) == {
        Space(model="small", dimension=2, vectors=1),
        Space(model="small", dimension=3, vectors=1),
        Space(model="large", dimension=3, vectors=1),
    }


@pytest.mark.parametrize(
    ("dimension", "state"),
    [(2000, IndexState.BUILT), (2001, IndexState.BUILT), (4000, IndexState.BUILT), (4001, IndexState.IMPOSSIBLE)],
)
def test_every_dimension_is_searchable_and_indexed_where_pgvector_can(
    world: World, dimension: int, state: IndexState
) -> None:
    vectors = _corpus(30, dimension)
    world.sweep("docs", [str(i) for i in range(30)], vectors)

    assert ensure_index(world.engine, model="small", dimension=dimension) is state
    assert _keys(search(world.engine, vectors[3], model="small", k=1)) == ["docs/3"]


@pytest.mark.parametrize("dimension", [3, 2001])
def test_a_search_through_the_index_of_a_large_space_gives_the_same_answer(world: World, dimension: int) -> None:
    vectors = _corpus(50, dimension)
    world.sweep("docs", [str(i) for i in range(50)], vectors)
    ensure_index(world.engine, model="small", dimension=dimension)
    statement = similarity._statement(dimension, exact=False, filtered=False)
    given = {"query": similarity._literal(vectors[7]), "model": "small", "k": 5}

    with transaction(world.engine) as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", given)
        plan = "".join(line for (line,) in cursor.fetchall())
        cursor.execute(statement, given)
        scores = [score for _, _, score in cursor.fetchall()]

    assert index_name("small", dimension) in plan
    exact = search(world.engine, vectors[7], model="small", k=5, exact=True)
    assert scores == pytest.approx([hit.score for hit in exact], abs=1e-3)


def test_an_index_is_built_once_and_serves_vectors_that_come_later(world: World) -> None:
    world.sweep("docs", ["a", "b"], np.array([[1, 0], [0, 1]], dtype=np.float32))
    assert ensure_index(world.engine, model="small", dimension=2) is IndexState.BUILT
    world.sweep("more", ["c"], np.array([[1, 1]], dtype=np.float32))

    assert ensure_index(world.engine, model="small", dimension=2) is IndexState.PRESENT
    assert _keys(search(world.engine, np.array([2, 2], dtype=np.float32), model="small", k=1)) == ["more/0"]


def test_an_index_whose_builder_died_is_built_anew(world: World) -> None:
    world.sweep("docs", ["a", "b"], np.array([[1, 0], [0, 1]], dtype=np.float32))
    ensure_index(world.engine, model="small", dimension=2)
    world.execute("UPDATE pg_index SET indisvalid = false WHERE indrelid = 'embedding_vectors'::regclass")

    assert ensure_index(world.engine, model="small", dimension=2) is IndexState.BUILT
    assert world.indexes() == {index_name("small", 2): True}


def test_a_model_of_any_name_can_be_indexed_and_searched(world: World) -> None:
    model = "BAAI/bge-'small'; %s " + "x" * 80
    world.sweep("docs", ["a"], np.array([[1, 0]], dtype=np.float32), model=model)

    assert ensure_index(world.engine, model=model, dimension=2) is IndexState.BUILT
    assert _keys(search(world.engine, np.array([1, 0], dtype=np.float32), model=model)) == ["docs/0"]


def test_an_unknown_space_or_sweep_is_named_together_with_what_there_is(world: World) -> None:
    world.sweep("docs", ["a"], np.array([[1, 0]], dtype=np.float32))
    query = np.array([1, 0], dtype=np.float32)

    with pytest.raises(InputError, match="no vectors of large with 2 dimensions") as space:
        search(world.engine, query, model="large")
    with pytest.raises(InputError, match="no sweep is called 'doc'") as sweep:
        search(world.engine, query, model="small", sweep="doc")

    assert "small (2)" in space.value.hint
    assert "docs" in sweep.value.hint


@pytest.mark.parametrize("vector", [[0, 0], [np.nan, 1], [np.inf, 1], []])
def test_a_query_without_direction_is_refused(world: World, vector: list[float]) -> None:
    with pytest.raises(InputError, match="no usable vector"):
        search(world.engine, np.array(vector, dtype=np.float32), model="small")


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_outside_its_range_is_refused(world: World, k: int) -> None:
    with pytest.raises(InputError, match="k must be from 1 to 1000"):
        search(world.engine, np.array([1, 0], dtype=np.float32), model="small", k=k)


def test_the_audit_counts_what_does_not_fit_together(world: World) -> None:
    world.sweep("docs", ["a", "b", "c"], np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32))
    assert orphans(world.engine).sound

    world.execute("DELETE FROM embedding_vectors WHERE position = 0")
    world.execute("UPDATE embedding_vectors SET norm = 0 WHERE position = 1")
    world.execute("UPDATE embedding_vectors SET call_id = 99 WHERE position = 2")
    found = orphans(world.engine)

    assert (found.without_vector, found.unusable, found.without_call, found.unused) == (1, 1, 1, 0)
    assert not found.sound


def test_vectors_that_no_job_needs_are_pruned_and_others_stay(world: World) -> None:
    world.sweep("docs", ["a", "b"], np.array([[1, 0], [0, 1]], dtype=np.float32))
    world.execute("DELETE FROM jobs WHERE key = 'docs/0'")

    assert prune(world.engine, dry_run=True) == 1
    assert prune(world.engine) == 1
    assert prune(world.engine) == 0
    assert _keys(search(world.engine, np.array([1, 0], dtype=np.float32), model="small")) == ["docs/1"]


def test_a_superseded_sweep_loses_only_what_its_successor_does_not_share(world: World) -> None:
    world.sweep("old", ["kept", "removed"], np.array([[1, 0], [0, 1]], dtype=np.float32))
    world.sweep("new", ["kept", "added"], np.array([[1, 0], [1, 1]], dtype=np.float32))

    assert prune(world.engine, sweep="old") == 1
    assert _keys(search(world.engine, np.array([0, 1], dtype=np.float32), model="small")) == ["new/1", "new/0"]
    assert orphans(world.engine).sound


def test_an_open_sweep_is_never_pruned(world: World) -> None:
    world.sweep("docs", ["a"], np.array([[1, 0]], dtype=np.float32))
    world.execute("UPDATE sweeps SET state = 'running'")
    world.execute("UPDATE jobs SET fingerprint = NULL, state = 'pending'")

    with pytest.raises(InputError, match="still running"):
        prune(world.engine, sweep="docs")
    assert prune(world.engine) == 0


def test_a_worker_builds_the_index_of_a_space_once_a_sweep_has_loaded_it(
    world: World, database_url: str, eventually: Callable[..., None]
) -> None:
    indexer = Indexer(database_url, least=50)
    world.sweep("few", [f"few {i}" for i in range(10)], _corpus(10), model="other")
    indexer.turn()
    world.sweep("many", [f"many {i}" for i in range(60)], _corpus(60))

    def indexed() -> bool:
        indexer.turn()
        return world.indexes() == {index_name("small", 32): True}

    eventually(indexed)
