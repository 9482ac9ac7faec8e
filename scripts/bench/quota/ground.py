"""The field that a scenario is played on: a strict simulator, four worker processes, more prompts than they send."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
import redis.exceptions

from core.ports import Limits
from scripts.bench.arena import Arena, Simulator, arena, wait_for
from scripts.bench.quota.curve import Curve

WORKERS = 4
_SLOTS = 16
_CHUNK = 32
_LATENCY = "lognormal:0.8,0.6"
_START_S = 60.0
_WORDS = (
    "order",
    "customer",
    "invoice",
    "total",
    "name",
    "date",
    "region",
    "product",
    "stock",
    "of",
    "without",
    "every",
)


@dataclass(slots=True, kw_only=True)
class Ground:
    """A running scenario."""

    arena: Arena
    simulator: Simulator

    def stats(self) -> dict[str, Any]:
        """What the simulator has counted so far."""
        return self.simulator.stats()

    def second(self) -> int:
        """The number of the second that is running."""
        return len(Curve.of(self.stats())) - 1

    def submit(self, name: str, prompts: Iterator[str], *, chunk_size: int = _CHUNK) -> None:
        """A sweep of these prompts. Small chunks: they are sent about in their order."""
        path = self.arena.directory / f"{name}-prompts.jsonl"
        with path.open("w") as file:
            file.writelines(json.dumps({"id": f"{i:07}", "prompt": text}) + "\n" for i, text in enumerate(prompts))
        self.arena.submit(name, 0, source={"path": str(path)}, chunk_size=chunk_size)

    def staff(self) -> None:
        """Starts the workers, and returns with the provider's first call."""
        for _ in range(WORKERS):
            self.arena.worker(slots=_SLOTS)
        wait_for("the first call", lambda: self.simulator.stats()["requests"], timeout_s=_START_S)

    def limit(self, limits: Limits) -> int:
        """Changes the provider's limits; returns the number of the second."""
        self.simulator.tell("limits", {"rpm": limits.rpm, "tpm": limits.tpm})
        return self.second()

    def kill_redis(self) -> float:
        """SIGKILL for the server of broker and gate; its supervisor starts it again. Returns the seconds without it."""
        killed = self._redis()
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        wait_for("Redis' return", lambda: self._redis() not in {0, killed}, timeout_s=_START_S, every_s=0.02)
        return time.monotonic() - began

    def _redis(self) -> int:
        """Its process; 0 while nobody answers."""
        with redis.Redis.from_url(self.arena.environment["REDIS_URL"]) as client:
            try:
                return int(client.info("server")["process_id"])
            except redis.exceptions.RedisError:
                return 0


@contextmanager
def ground(truth: Limits, told: Limits, **simulator: object) -> Iterator[Ground]:
    """``truth``: what the simulator enforces, with a bucket of one second; ``told``: what the settings say."""
    quota = {"rpm": truth.rpm, "tpm": truth.tpm}
    settings = {"OPENAI_RATE_LIMIT_RPM": told.rpm, "OPENAI_RATE_LIMIT_TPM": told.tpm}
    with arena(
        OPENAI_MAX_CONCURRENT_REQUESTS="1024", **{name: str(set_) for name, set_ in settings.items() if set_}
    ) as made:
        found = made.simulator(
            "openai", burst=1, latency=_LATENCY, **{name: limit for name, limit in quota.items() if limit}, **simulator
        )
        yield Ground(arena=made, simulator=found)


def rest(seconds: float) -> None:
    """Lets the workers work."""
    threading.Event().wait(seconds)


def prompts(count: int, words: Sequence[int], seed: int = 0) -> Iterator[str]:
    """Different prompts of between so many and so many words."""
    rng = random.Random(seed)
    for number in range(count):
        yield f"{seed}/{number}: " + " ".join(rng.choices(_WORDS, k=rng.randint(words[0], words[-1])))
