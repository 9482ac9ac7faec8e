"""The kind `dictionary`: the parts put together."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import InputError
from core.model import Accepted, Answer, ChatRequest, Job, JsonObject, Message, Rejected, ResultRow, Variant, Verdict
from tasks.dictionary import answer as answers
from tasks.dictionary import export, prompt, source
from tasks.dictionary.accept import judge
from tasks.dictionary.answer import DictionaryAnswer
from tasks.dictionary.facts import Facts
from tasks.dictionary.writer import write
from tasks.kind import Found

M = TypeVar("M", bound=BaseModel)


class DictionaryKind:
    """Describes every column of a database, or every field of files."""

    name = "dictionary"
    source_model: type[BaseModel] = source.DictionarySource
    options_model: type[BaseModel] = source.DictionaryOptions
    formats: Sequence[str] = export.FORMATS
    wants_vectors = False

    def jobs(self, source: JsonObject, options: JsonObject) -> Iterator[Found]:
        return _jobs(source, options)

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:  # noqa: ARG002 - the port's
        return ChatRequest(
            provider=variant.provider,
            model=variant.model,
            messages=prompt.messages(Facts.model_validate(job.input)),
            params=variant.params,
            schema=answers.schema(),
            version=prompt.VERSION,
            sample=variant.sample,
        )

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Verdict:  # noqa: ARG002 - the port's
        facts = Facts.model_validate(job.input)
        found = judge(facts, answer)
        return found if isinstance(found, Rejected) else Accepted(result=_result(facts, found, "model"))

    def fallback(self, job: Job, options: JsonObject) -> JsonObject:  # noqa: ARG002 - the port's
        facts = Facts.model_validate(job.input)
        return _result(facts, write(facts), "rule")

    def answer(self, messages: Sequence[Message]) -> str | None:
        facts = prompt.read(messages)
        return None if facts is None else write(facts).model_dump_json()

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        return export.write(rows, fmt, out)


def _jobs(given: JsonObject, options: JsonObject) -> Iterator[Found]:
    return source.jobs(_checked(source.DictionarySource, given), _checked(source.DictionaryOptions, options))


def _checked(model: type[M], given: JsonObject) -> M:
    try:
        return model.model_validate(dict(given))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"dictionary: {where}: {first['msg']}") from exc


def _result(facts: Facts, found: DictionaryAnswer, source: str) -> JsonObject:
    """A person's comment is the description; what was written about it stands beside it."""
    return {
        "description": facts.comment.strip() or found.description.strip(),
        "proposed": found.description.strip() if facts.comment.strip() else None,
        "business_name": found.business_name,
        "semantic_type": found.semantic_type.value,
        "confidence": found.confidence,
        "existing": facts.comment.strip() or None,
        "source": source,
    }
