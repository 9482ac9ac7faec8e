"""Stragglers: one call in a hundred takes twenty times as long. How much later than need be is the last row?"""

import heapq
import random
import statistics
import time

from scripts.bench.ground import Ground
from scripts.simulator.latency import Heavy

_JOBS = 10_000
_IN_FLIGHT = 256
_HEAVY = Heavy(median=0.2, share=0.01, factor=20)
_GOAL = 1.3
_DRAWS = 51
_SLOTS = 48  # half of the chunks hold a straggler, and their slot, for as long as it takes
_LONG_S = 120.0


def stragglers(ground: Ground) -> None:
    """Against a scheduler that costs nothing and starts a call in the moment that a place is free."""
    arena = ground.arena
    arena.stop_workers()
    arena.workers.clear()
    arena.simulator(latency=f"heavy:{_HEAVY.median},{_HEAVY.share},{_HEAVY.factor:g}", answers="fast", tokens="approx")
    arena.worker(slots=_SLOTS, OPENAI_MAX_CONCURRENT_REQUESTS=str(_IN_FLIGHT))
    arena.submit("warm-tail", 500, chunk_size=64)
    arena.ended("warm-tail", timeout_s=_LONG_S)
    arena.submit("tail", _JOBS, chunk_size=64)
    began = time.perf_counter()
    arena.answered("tail", timeout_s=_LONG_S)
    took, ideal = time.perf_counter() - began, _ideal_s()
    ground.add("stragglers: time to the last row", took, "s")
    ratio = took / ideal
    ground.add(f"stragglers: against {_IN_FLIGHT} places always taken", ratio, "x", "<= 1.3", holds=ratio <= _GOAL)


def _ideal_s() -> float:
    rng = random.Random(0)
    return statistics.median(_makespan([_HEAVY.draw(rng) for _ in range(_JOBS)]) for _ in range(_DRAWS))


def _makespan(latencies: list[float]) -> float:
    free = [0.0] * _IN_FLIGHT
    for latency in latencies:
        heapq.heappush(free, heapq.heappop(free) + latency)
    return max(free)
