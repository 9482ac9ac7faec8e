"""Kind ``prompt``: records of a JSONL or CSV file -> a prompt each, by template -> the model's text or JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from core.errors import InputError
from core.model import Accepted, Answer, ChatRequest, Job, JobDraft, JsonObject, Message, Rejected, ResultRow, Variant
from core.model import Verdict as Judged
from tasks import records
from tasks.drafts import checked
from tasks.kind import Found, Problem
from tasks.options import reader
from tasks.prompt import answers, rendering
from tasks.prompt.spec import PromptOptions, PromptSource

_VERSION = "prompt/1"
_PATIENCE = 100
"""Records that may lack a column of the template before the template itself is taken to be wrong."""

_chosen = reader(PromptOptions)


class PromptKind:
    """Implements ``tasks.kind.SweepKind``. No rule can answer any prompt: there is no fallback."""

    name = "prompt"
    source_model: type[BaseModel] = PromptSource
    options_model: type[BaseModel] = PromptOptions
    formats: Sequence[str] = ("csv", "parquet")
    wants_vectors = False

    def jobs(self, source: JsonObject, options: JsonObject) -> Iterator[Found]:
        """One job a record, keyed by its id or its line number."""
        wanted = PromptSource.model_validate(source)
        chosen = PromptOptions.model_validate(options)
        rendering.check(chosen)
        if chosen.answer_schema is not None:
            answers.check(chosen.answer_schema)
        where = "standard input" if wanted.path == records.STDIN else wanted.path
        return checked(
            _drafts(wanted.path, chosen),
            nothing=f"there is no prompt in {where}",
            hint="JSONL with an object a line, or CSV with a header",
        )

    def request(self, job: Job, variant: Variant, options: JsonObject) -> ChatRequest:
        chosen = _chosen(options)
        schema = chosen.answer_schema
        return ChatRequest(
            provider=variant.provider,
            model=variant.model,
            messages=rendering.messages(job.input["row"], chosen, variant.model),
            params=variant.params,
            schema=None if schema is None else answers.response_schema(schema),
            version=_VERSION,
            sample=variant.sample,
        )

    def accept(self, job: Job, answer: Answer, options: JsonObject) -> Judged:  # noqa: ARG002 - the port's
        text = answer.text.strip()
        if not text:
            return Rejected(reason="the answer is empty")
        schema = _chosen(options).answer_schema
        if schema is not None:
            return answers.judge(text, schema)
        return Accepted(result={"text": answer.text})

    def fallback(self, job: Job, options: JsonObject) -> JsonObject | None:  # noqa: ARG002 - the port's
        return None

    def answer(self, messages: Sequence[Message]) -> str | None:  # noqa: ARG002 - the port's
        return None

    def export(self, rows: Iterator[ResultRow], fmt: str, out: Path) -> str:
        from tasks.prompt import export  # noqa: PLC0415 - workers export nothing: Parquet's 8 MB are not for them

        match fmt:
            case "csv":
                return export.write_csv(rows, out)
            case "parquet":
                return export.write_parquet(rows, out)
            case _:
                raise InputError(f"prompt has no format {fmt!r}", hint="formats: csv, parquet, jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lack:
    """A record without a column that the template asks for: the record's fault, or the template's."""

    where: str
    values: JsonObject
    what: str

    def problem(self) -> Problem:
        return Problem(where=self.where, what=f"{self.what}; columns: {', '.join(list(self.values)[:20])}")


def _drafts(path: str, options: PromptOptions) -> Iterator[Found]:
    usable = False
    lacking: list[_Lack] = []
    for record in records.read(path):
        found = record if isinstance(record, Problem) else _draft(record, path, options)
        if isinstance(found, _Lack):
            lacking.append(found)
            if not usable and len(lacking) < _PATIENCE:
                continue
            if not usable:
                break
        usable = usable or isinstance(found, JobDraft)
        if usable:
            yield from (lack.problem() for lack in lacking)
            lacking.clear()
        if not isinstance(found, _Lack):
            yield found
    if lacking:
        raise _wrong_template(lacking, options)


def _draft(record: records.Record, path: str, options: PromptOptions) -> JobDraft | Problem | _Lack:
    where = f"{'standard input' if path == records.STDIN else path}:{record.line}"
    try:
        rendering.messages(record.values, options)
    except rendering.Unusable as exc:
        return Problem(where=where, what=exc.message)
    except rendering.UnknownColumn as exc:
        return _Lack(where=where, values=record.values, what=exc.message)
    return JobDraft(key=_key(record, options.key), input={"row": dict(record.values)})


def _wrong_template(lacking: list[_Lack], options: PromptOptions) -> InputError:
    known = list(dict.fromkeys(name for lack in lacking for name in lack.values))
    unknown = sorted(rendering.asked_columns(options) - set(known))
    asked = ", ".join(map(repr, unknown)) if unknown else lacking[0].what
    return InputError(f"the template asks for {asked}, which no record has", hint=f"columns: {', '.join(known[:50])}")


def _key(record: records.Record, name: str | None) -> str:
    names = (name,) if name is not None else ("id", "key")
    values = (record.values.get(candidate) for candidate in names)
    found = (str(value).strip() for value in values if isinstance(value, str | int))
    return next((key for key in found if key), f"{record.line:07}")


KIND = PromptKind()
