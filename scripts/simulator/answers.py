"""What the simulated model says: the kinds' rule-based writers first, then something plain that fits the request."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import orjson

from core.model import Message
from scripts.simulator.chat import ChatAsk
from scripts.simulator.instances import instance

Writer: TypeAlias = Callable[[Sequence[Message]], str | None]

_REMEMBERED = 20_000
_FAST = "This answer always has the same length, so that a bench measures the client and not the simulator. " * 4
_FAST_SEED = bytes(32)


class Answers:
    """Answers of a run. ``writer`` None: nobody writes, all answers are cheap and of one size."""

    def __init__(self, writer: Writer | None) -> None:
        self._writer = writer
        self._written: dict[bytes, str | None] = {}

    def text(self, ask: ChatAsk, sample: int) -> str:
        """``sample``: how often the same request was asked before."""
        if self._writer is None:
            return _fast(ask)
        written = self._write(ask, self._writer)
        return _plain(ask, sample) if written is None else written

    def _write(self, ask: ChatAsk, writer: Writer) -> str | None:
        known = self._written
        if ask.fingerprint in known:
            return known[ask.fingerprint]
        text = writer(ask.messages)
        if len(known) >= _REMEMBERED:
            del known[next(iter(known))]
        known[ask.fingerprint] = text
        return text


def _plain(ask: ChatAsk, sample: int) -> str:
    seed = ask.fingerprint
    if ask.varies and sample:
        seed = hashlib.sha256(seed + sample.to_bytes(8, "little")).digest()
    if ask.schema is not None:
        return orjson.dumps(instance(ask.schema.json, seed)).decode()
    prompt = next((message.content for message in reversed(ask.messages) if message.role == "user"), "")
    text = f"Simulated answer {seed.hex()[:12]} to: {' '.join(prompt.split()[:24])}"
    return orjson.dumps({"answer": text}).decode() if ask.json_object else text


def _fast(ask: ChatAsk) -> str:
    if ask.schema is not None:
        return _fast_instance(orjson.dumps(ask.schema.json))
    return orjson.dumps({"answer": _FAST}).decode() if ask.json_object else _FAST


@functools.lru_cache(maxsize=64)
def _fast_instance(schema: bytes) -> str:
    return orjson.dumps(instance(orjson.loads(schema), _FAST_SEED)).decode()
