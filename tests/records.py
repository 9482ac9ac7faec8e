"""Calls, and rows of a finished sweep, of which a test names only what it is about."""

from typing import Any

from core.model import CallRecord, CallStatus, JobState, Modality, ResultRow, Usage


def call(call_id: int, **fields: Any) -> CallRecord:
    """A chat call that succeeded."""
    plain: dict[str, Any] = {
        "provider": "openai",
        "model": "small",
        "modality": Modality.CHAT,
        "status": CallStatus.SUCCESS,
        "fingerprint": f"{call_id:064x}",
        "request": {"messages": [{"role": "user", "content": "say hello"}]},
        "response": {"choices": [{"message": {"content": f"answer {call_id}"}, "finish_reason": "stop"}]},
        "latency_ms": 12.5,
        "usage": Usage(prompt=10, completion=5),
        "cost_usd": 0.001,
        "cost_max_usd": 0.01,
    }
    return CallRecord(id=call_id, **(plain | fields))


def row(job_id: int = 1, **fields: Any) -> ResultRow:
    """A job that is done, as exports see it."""
    plain: dict[str, Any] = {
        "key": f"k{job_id}",
        "input": {},
        "state": JobState.DONE,
        "result": {"text": "ok"},
        "error": None,
        "provider": "openai",
        "model": "gpt-4o",
        "params": {},
        "sample": 0,
        "cached": False,
        "attempts": 1,
        "tokens": Usage(prompt=3, completion=4),
        "cost_usd": 0.5,
        "call_id": 7,
    }
    return ResultRow(job_id=job_id, **(plain | fields))
