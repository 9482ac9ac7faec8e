"""Embeddings: texts a second into pgvector with its index, against the bare fetch, COPY and index."""

import json
import statistics
import time

from db.engine import connect
from db.vector_index import IndexState, ensure_index
from scripts.bench.arena import wait_for
from scripts.bench.ground import Ground, cpu_of, ms_a_call, peer
from scripts.bench.peers.embeddings_bare import BATCH, DIMENSIONS, MODEL, text

_TEXTS = 50_000
_CHUNK = 2_048  # as `sweep submit embedding` has it
_ALONE = 1_000
_WORKERS = 2
_GOAL = 0.7
_AHEAD = 20.0
_LONG_S = 240.0


def embeddings(ground: Ground) -> None:
    """Two workers. Both build the same index, which takes most of the time: it is built once, and counted for both."""
    arena = ground.arena
    arena.stop_workers()
    arena.workers.clear()
    simulator = arena.simulator(latency="0", answers="fast", tokens="approx")
    for _ in range(_WORKERS):
        arena.worker(slots=8)
    _embed(ground, "warm-vectors", range(_TEXTS, _TEXTS + 2 * BATCH))
    cpu, stored_s = _embed(ground, "vectors", range(_TEXTS))
    index_s = _index(ground)
    cpus: list[float] = []

    def bare_s(_: int) -> float:
        bare = peer("embeddings_bare", f"{simulator.url}/v1", _TEXTS, arena.database_url)
        cpus.append(ms_a_call(bare))
        return bare.wall_s

    bare_wall_s = ground.median("bare embeddings", bare_s)
    ground.add("embeddings: CPU a text", 1000 * cpu / _TEXTS, "ms")
    ground.add("embeddings: bare aiohttp and binary COPY, CPU a text", statistics.median(cpus), "ms")
    ground.add("embeddings: texts a second, stored, two workers", _TEXTS / stored_s, "1/s")
    ground.add("embeddings: texts a second, stored and indexed", _TEXTS / (stored_s + index_s), "1/s")
    share = (bare_wall_s + index_s) / (stored_s + index_s)
    ground.add("embeddings: against bare, with the index", share, "x", ">= 0.7", holds=share >= _GOAL)
    ground.add("embeddings: against bare, without the index", bare_wall_s / stored_s, "x")

    def alone_s(_: int) -> float:
        return peer("embeddings_single", f"{simulator.url}/v1", _ALONE, arena.database_url).wall_s

    alone = _ALONE / ground.median("a text a request", alone_s)
    ground.add("embeddings: AsyncOpenAI, a text a request, a row a commit: texts a second", alone, "1/s")
    ahead = (_TEXTS / stored_s) / alone
    ground.add("embeddings: texts a second, ours against that", ahead, "x", ">= 20", holds=ahead >= _AHEAD)


def _index(ground: Ground) -> float:
    """Seconds from now until the index is there; a worker may have begun to build it."""
    engine = connect(ground.arena.database_url, role="producer", pool=1)

    def there() -> bool:
        return ensure_index(engine, model=MODEL, dimension=DIMENSIONS) in {IndexState.BUILT, IndexState.PRESENT}

    began = time.perf_counter()
    try:
        wait_for("the index", there, timeout_s=_LONG_S)
    finally:
        engine.dispose()
    return time.perf_counter() - began


def _embed(ground: Ground, name: str, numbers: range) -> tuple[float, float]:
    """The workers' CPU seconds, and seconds from the submission's end to the last vector."""
    arena = ground.arena
    path = arena.directory / f"{name}-texts.jsonl"
    path.write_text("".join(json.dumps({"id": f"{n:07}", "text": text(n)}) + "\n" for n in numbers))
    cpu = cpu_of(arena.living())
    arena.submit(
        name,
        0,
        kind="embedding",
        source={"paths": [str(path)], "field": "text"},
        targets=({"provider": "openai", "model": MODEL},),
        chunk_size=_CHUNK,
    )
    began = time.perf_counter()
    arena.answered(name, timeout_s=_LONG_S)
    return cpu_of(arena.living()) - cpu, time.perf_counter() - began
