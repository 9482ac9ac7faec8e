"""The kind `gap`: the parts put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import InputError
from core.model import Accepted, Answer, ChatRequest, Job, JsonObject, Message, Rejected, ResultRow, Variant, Verdict
from tasks.answers import parse
from tasks.gap import export, prompt, source
from tasks.gap.accept import judge
from tasks.gap.answer import GapAnswer
from tasks.gap.facts import JobInput
from tasks.gap.spec import GapOptions, GapSource
from tasks.gap.writer import write
from tasks.kind import Found, Spent

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class GapKind:
    """Holds code against its design. One job is one requirement, or the part of a module that the design names not."""

    name: ClassVar[str] = "gap"
    source_model: ClassVar[type[BaseModel]] = GapSource
    options_model: ClassVar[type[BaseModel]] = GapOptions
    formats: ClassVar[Sequence[str]] = export.FORMATS
    wants_vectors: ClassVar[bool] = False
    spent: Spent | None = None  # what the ledger knows of the sweep that is exported

    def accounting(self, spent: Spent) -> "GapKind":
        """Implements ``tasks.kind.Accountable``."""
        return replace(self, spent=spent)

    def jobs(self, source_json: JsonObject, options: JsonObject) -> Iterator[Found]:
        return source.jobs(_checked(GapSource, source_json), _checked(GapOptions, options))

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:  # noqa: ARG002 - the port's
        return prompt.request_of(JobInput.model_validate(job.input).payload, variant)

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:  # noqa: ARG002 - the port's
        if answer.finish_reason == "length":
            return Rejected(reason="the answer was cut off: explain in one sentence")
        found = parse(GapAnswer, answer.text)
        if isinstance(found, Rejected):
            return found
        judged = judge(found, JobInput.model_validate(job.input).payload)
        return judged if isinstance(judged, Rejected) else Accepted(result=_result(judged, "model"))

    def fallback(self, job: Job, options: JsonObject) -> JsonObject:  # noqa: ARG002 - the port's
        return _result(write(JobInput.model_validate(job.input).payload), "rule")

    def answer(self, messages: Sequence[Message]) -> str | None:
        payload = prompt.payload_in(messages)
        return None if payload is None else write(payload).model_dump_json()

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        return export.write(rows, fmt, out, spent=self.spent)


def _result(answer: GapAnswer, source: str) -> JsonObject:
    return {**answer.model_dump(mode="json"), "source": source}


def _checked(model: type[M], given: JsonObject) -> M:
    try:
        return model.model_validate(dict(given))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"gap: {where}: {first['msg']}") from exc
