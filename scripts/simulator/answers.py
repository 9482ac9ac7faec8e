"""What the simulated model says: the kinds' rule-based writers first, then something plain that fits the request."""

import functools
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

import orjson

from core.model import Message
from scripts.simulator.chat import ChatAsk
from scripts.simulator.instances import instance
from scripts.simulator.options import AnswerMode

Writer: TypeAlias = Callable[[Sequence[Message]], str | None]

_REMEMBERED = 20_000
_FAST = "This answer always has the same length, so that a bench measures the client and not the simulator. " * 4
_FAST_SEED = bytes(32)
_MEDIAN = 150  # tokens of a varied answer
_SIGMA = 0.6
_LONGEST = 1_000


class Answers:
    """Answers of a run. ``writer`` is asked in the mode ``rules`` only."""

    def __init__(self, mode: AnswerMode, writer: Writer) -> None:
        self._mode = mode
        self._writer = writer
        self._written: dict[bytes, str | None] = {}

    def text(self, ask: ChatAsk, sample: int) -> str:
        """``sample``: how often the same request was asked before."""
        if self._mode is not AnswerMode.RULES:
            return _fast(ask, _varied(ask) if self._mode is AnswerMode.VARIED else _FAST)
        written = self._write(ask)
        return _plain(ask, sample) if written is None else written

    def _write(self, ask: ChatAsk) -> str | None:
        known = self._written
        if ask.fingerprint in known:
            return known[ask.fingerprint]
        text = self._writer(ask.messages)
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


def _fast(ask: ChatAsk, text: str) -> str:
    if ask.schema is not None:
        return _fast_instance(orjson.dumps(ask.schema.json))
    return orjson.dumps({"answer": text}).decode() if ask.json_object else text


def _varied(ask: ChatAsk) -> str:
    """The same request always has the same length; over requests it is lognormal."""
    drawn = random.Random(ask.fingerprint).lognormvariate(0.0, _SIGMA)
    tokens = max(1, min(_LONGEST, round(_MEDIAN * drawn)))
    return (_FAST * (tokens // 100 + 1))[: 4 * tokens]


@functools.lru_cache(maxsize=64)
def _fast_instance(schema: bytes) -> str:
    return orjson.dumps(instance(orjson.loads(schema), _FAST_SEED)).decode()
