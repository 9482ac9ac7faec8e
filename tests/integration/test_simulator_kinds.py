"""The simulator behind a kind: its answers are taken as a model's, and its wrong ones are not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.model import Accepted, Answer, ChatRequest, Job, JobDraft, Rejected, Variant, Verdict
from scripts.simulator.testing import Remote, running
from tasks.registry import kind

SOURCE = """\
def divide(dividend: float, divisor: float = 1.0) -> float:
    if divisor == 0:
        raise ValueError("divisor must not be zero")
    return dividend / divisor
"""
VARIANT = Variant(provider="openai", model="gpt-4o")


@pytest.fixture(scope="module")
def sim() -> Iterator[Remote]:
    with running() as remote:
        yield remote


def verdict(remote: Remote, directory: Path) -> Verdict:
    """What the docstring kind says to the simulator's answer about ``SOURCE``."""
    (directory / "module.py").write_text(SOURCE)
    docstring = kind("docstring")
    source = docstring.source_model.model_validate({"paths": [str(directory)]}).model_dump(mode="json")
    options = docstring.options_model().model_dump(mode="json")
    (draft,) = (found for found in docstring.jobs(source, options) if isinstance(found, JobDraft))
    job = Job(id=1, key=draft.key, input=draft.input)
    request = docstring.request(job, VARIANT, options)
    assert isinstance(request, ChatRequest)
    return docstring.accept(job, Answer(call_id=1, text=answer(remote, request)), options)


def answer(remote: Remote, request: ChatRequest) -> str:
    assert request.schema is not None
    schema = {"name": request.schema.name, "strict": True, "schema": dict(request.schema.json)}
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    reply = httpx.post(f"{remote.base_url}/chat/completions", json=body, timeout=30)
    text = reply.json()["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def test_the_kinds_own_writer_answers_its_prompt(sim: Remote, tmp_path: Path) -> None:
    sim.fail()

    assert isinstance(verdict(sim, tmp_path), Accepted)


@pytest.mark.parametrize("fault", ["prose", "bad-json", "wrong-schema", "wrong-params", "invented-raises"])
def test_a_wrong_answer_is_wrong_in_the_kinds_eyes(sim: Remote, tmp_path: Path, fault: str) -> None:
    sim.fail(fault)

    assert isinstance(verdict(sim, tmp_path), Rejected)
