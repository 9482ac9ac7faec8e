"""The docstring kind: source -> jobs -> request -> accept -> fallback -> export, each told in its own module."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import InputError
from core.model import Accepted, Answer, ChatRequest, Job, JsonObject, Message, Rejected, ResultRow, Variant, Verdict
from tasks.answers import parse
from tasks.docstring import export, source
from tasks.docstring.accept import judge
from tasks.docstring.answer import DocstringAnswer
from tasks.docstring.facts import JobInput
from tasks.docstring.improve import improved
from tasks.docstring.options import Options, Source
from tasks.docstring.render import render
from tasks.docstring.request import facts_in, request_of
from tasks.docstring.writer import write
from tasks.kind import Found
from tasks.options import reader

M = TypeVar("M", bound=BaseModel)

_told = reader(Options)
_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*)\n\s*```\s*$", re.DOTALL)


class DocstringKind:
    """One job is one function, method or class that lacks a docstring."""

    name = "docstring"
    source_model: type[BaseModel] = Source
    options_model: type[BaseModel] = Options
    formats: Sequence[str] = ("patch", "json")
    wants_vectors = False

    def jobs(self, source_json: JsonObject, options: JsonObject) -> Iterator[Found]:
        return source.jobs(_checked(Source, source_json, "source"), _checked(Options, options, "options"))

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:  # noqa: ARG002 - the style is ours to render, the answer does not depend on it
        return request_of(JobInput.model_validate(job.input), variant, job.earlier)

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:
        fenced = _FENCE.match(answer.text)
        parsed = parse(DocstringAnswer, fenced[1] if fenced else answer.text)
        return parsed if isinstance(parsed, Rejected) else _verdict(job, parsed, options)

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:
        verdict = _verdict(job, write(JobInput.model_validate(job.input).facts), options)
        return verdict.result if isinstance(verdict, Accepted) else None

    def answer(self, messages: Sequence[Message]) -> str | None:
        facts = facts_in(messages)
        return None if facts is None else write(facts).model_dump_json()

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        return export.export(rows, fmt, out)


def _verdict(job: Job, answer: DocstringAnswer, options: JsonObject) -> Verdict:
    work = JobInput.model_validate(job.input)
    judged = judge(answer, work)
    if isinstance(judged, Rejected):
        return judged
    told = _told(options)
    target = work.target
    write_up = improved if work.facts.existing else render
    text = write_up(judged, work.facts, told.style, target.line_length - target.indent)
    return Accepted(result={"docstring": text, "style": told.style, "answer": judged.model_dump(mode="json")})


def _checked(model: type[M], value: JsonObject, what: str) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"docstring {what}: {where}: {first['msg']}") from exc
