"""Answering chat: the same job for both dialects, rendered as each one writes it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from scripts.simulator.chat import ChatAsk
from scripts.simulator.counting import Counting
from scripts.simulator.jobs import Price
from scripts.simulator.spoiling import spoil

_CACHED_FROM = 1024  # OpenAI caches prompts from this length on, in steps of 128
_CACHE_STEP = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer, before it is rendered. ``finish``: OpenAI's ``stop``, ``length`` or ``content_filter``."""

    text: str
    price: Price
    cached_tokens: int = 0
    finish: str = "stop"


Render: TypeAlias = Callable[[ChatAsk, Completion, str], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob:
    """A chat request with its answer."""

    ask: ChatAsk
    completion: Completion
    render: Render
    counting: Counting

    @property
    def model(self) -> str:
        return self.ask.model

    @property
    def fingerprints(self) -> Sequence[bytes]:
        return (self.ask.fingerprint,)

    @property
    def price(self) -> Price:
        return self.completion.price

    def mentions(self, word: str) -> bool:
        return any(word in message.content for message in self.ask.messages)

    def body(self, request_id: str) -> bytes:
        return orjson.dumps(self.render(self.ask, self.completion, request_id))

    def spoiled(self, fault: str, request_id: str) -> bytes | None:
        if fault == "empty-choices":
            rendered = self.render(self.ask, self.completion, request_id)
            return orjson.dumps({**rendered, "content" if "content" in rendered else "choices": []})
        if fault == "content-filter-200":
            filtered = replace(self.completion, text="", finish="content_filter")
            return orjson.dumps(self.render(self.ask, filtered, request_id))
        text = spoil(fault, self.completion.text, self.ask.schema)
        if text is None:
            return None
        return orjson.dumps(self.render(self.ask, replace(self.completion, text=text), request_id))


def chat_job(ask: ChatAsk, text: str, asked_before: int, render: Render, counting: Counting) -> ChatJob:
    """``asked_before``: how often; a repeated long prompt comes partly from the provider's own cache."""
    count = counting.text(text, ask.model)
    finish = "stop"
    if ask.max_tokens is not None and count > ask.max_tokens:
        text, count, finish = counting.cut(text, ask.max_tokens, ask.model), ask.max_tokens, "length"
    prompt = ask.prompt_tokens
    cached = prompt // _CACHE_STEP * _CACHE_STEP if asked_before and prompt >= _CACHED_FROM else 0
    completion = Completion(
        text=text, price=Price(prompt=prompt, completion=count), cached_tokens=cached, finish=finish
    )
    return ChatJob(ask=ask, completion=completion, render=render, counting=counting)


def render_completion(ask: ChatAsk, completion: Completion, request_id: str) -> dict[str, Any]:
    """OpenAI's ``chat.completion``."""
    price = completion.price
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": ask.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": completion.text, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": completion.finish,
            }
        ],
        "usage": {
            "prompt_tokens": price.prompt,
            "completion_tokens": price.completion,
            "total_tokens": price.total,
            "prompt_tokens_details": {"cached_tokens": completion.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }
