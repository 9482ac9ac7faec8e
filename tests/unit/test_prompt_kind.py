import csv
from pathlib import Path
from typing import Any

import pytest

from core import tokens
from core.errors import InputError
from core.fingerprint import fingerprint
from core.model import (
    Accepted,
    Answer,
    ChatRequest,
    Job,
    JobState,
    JsonObject,
    Message,
    Rejected,
    ResultRow,
    Variant,
)
from core.preprocess import remove_pii
from tasks.kind import SweepKind
from tasks.prompt import KIND
from tests.records import row

GPT = Variant(provider="openai", model="gpt-4o", params={"temperature": 0.7}, sample=2)
COLOUR = {
    "title": "A colour!",
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def _options(**options: Any) -> JsonObject:
    """As `tasks.producer.check` stores them in the spec."""
    return KIND.options_model.model_validate(options).model_dump(mode="json")


def _request(row: JsonObject, **options: Any) -> ChatRequest:
    return KIND.request(Job(id=1, key="1", input={"row": row}), GPT, _options(**options))


def _text(row: JsonObject, **options: Any) -> str:
    (message,) = _request(row, **options).messages
    return message.content


def _accept(text: str, **options: Any) -> Any:
    return KIND.accept(Job(id=1, key="1", input={}), Answer(call_id=1, text=text), _options(**options))


def test_it_is_a_sweep_kind_that_no_rule_can_answer() -> None:
    kind: SweepKind = KIND

    assert kind.name == "prompt"
    assert kind.fallback(Job(id=1, key="1", input={}), {}) is None
    assert kind.answer((Message(role="user", content="2+2?"),)) is None


def test_a_request_carries_the_rendered_messages_parameters_and_sample() -> None:
    request = _request({"question": "Why?", "lang": "de"}, template="Q: {{ question }}", system="Answer in {{ lang }}.")

    assert request.messages == (
        Message(role="system", content="Answer in de."),
        Message(role="user", content="Q: Why?"),
    )
    assert (request.params, request.sample) == ({"temperature": 0.7}, 2)


def test_the_same_row_gives_the_same_fingerprint_and_another_template_another() -> None:
    prints = [
        fingerprint(_request({"prompt": "a"}, template=t)) for t in ("{{ prompt }}", "{{ prompt }}", "{{prompt}}?")
    ]

    assert prints[0] == prints[1] != prints[2]


def test_templates_see_lists_and_columns_of_any_name() -> None:
    row = {"tags": ["a", "b"], "full name": "Ada", "meta": {"n": 1}}

    text = _text(row, template="{{ row['full name'] }}: {{ tags | join('+') }} {{ meta.n }} {{ meta | tojson }}")

    assert text == 'Ada: a+b 1 {"n": 1}'


def test_text_is_sent_as_it_is_and_not_escaped_for_html() -> None:
    assert _text({"prompt": 'a < b && "c" {{ x }}'}) == 'a < b && "c" {{ x }}'


def test_templates_and_schemas_of_files_are_kept_in_the_options(tmp_path: Path) -> None:
    template, schema = tmp_path / "t.jinja", tmp_path / "s.json"
    template.write_text("Say {{ prompt }}!")
    schema.write_text('{"type": "object"}')

    options = _options(template=str(template), schema=str(schema))
    template.unlink()
    schema.unlink()

    assert options["template"] == "Say {{ prompt }}!"
    assert _text({"prompt": "hi"}, **options) == "Say hi!"
    assert _request({"prompt": "hi"}, **options).schema is not None


def test_a_template_cannot_reach_beyond_its_record() -> None:
    with pytest.raises(InputError):
        _text({"prompt": "x"}, template="{{ prompt.__class__.__mro__ }}")


def test_messages_of_a_record_are_taken_as_they_are() -> None:
    row = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}

    assert _request(row).messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi"),
    )


@pytest.mark.parametrize("messages", [[], "hi", [{"role": "tool", "content": "x"}], [{"role": "user"}], ["hi"]])
def test_messages_that_are_none_are_refused(messages: Any) -> None:
    with pytest.raises(InputError, match="messages"):
        _request({"messages": messages})


def test_each_step_of_preprocessing_is_off_until_it_is_asked_for() -> None:
    row = {"prompt": " Mail  ada@example.com\n\n or call +1 (555) 123-4567. "}

    assert _text(row) == "Mail  ada@example.com\n\n or call +1 (555) 123-4567."
    assert _text(row, whitespace=True) == "Mail ada@example.com or call +1 (555) 123-4567."
    assert _text(row, pii=True) == "Mail  [EMAIL]\n\n or call [PHONE]."
    assert tokens.count(_text({"prompt": "word " * 100}, truncate_tokens=10), "gpt-4o") <= 10


def test_personal_data_leaves_the_system_message_too() -> None:
    request = _request({"prompt": "x", "who": "a@b.org"}, system="For {{ who }}", pii=True)

    assert request.messages[0].content == "For [EMAIL]"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Contact me at test@example.com or 555-123-4567", "Contact me at [EMAIL] or [PHONE]"),
        ("first.last+tag@mail.example.co.uk!", "[EMAIL]!"),
        ("5551234567", "[PHONE]"),
        ("+49 30 123456-78, 0049 (0)30/1234567", "[PHONE], [PHONE]"),
        ("(555) 123 4567", "[PHONE]"),
        ("2024-01-02 10:00, 31.12.2025, 10.0.0.12", "2024-01-02 10:00, 31.12.2025, 10.0.0.12"),
        ("order 123456789012, $1,234,567.89, v1.2.3.4", "order 123456789012, $1,234,567.89, v1.2.3.4"),
        ("user@host and @name", "user@host and @name"),
    ],
)
def test_addresses_and_phone_numbers_are_found_and_other_numbers_stay(text: str, clean: str) -> None:
    assert remove_pii(text) == clean


def test_an_answer_in_words_is_kept_as_it_came() -> None:
    assert _accept("Four.\n") == Accepted(result={"text": "Four.\n"})


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_rejected(text: str) -> None:
    assert _accept(text) == Rejected(reason="the answer is empty")


def test_an_answer_that_satisfies_the_schema_is_kept_as_json() -> None:
    assert _accept(' {"name": "blue"}\n', schema=COLOUR) == Accepted(result={"json": {"name": "blue"}})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("blue", "not JSON"),
        ('{"name": 5}', r"$.name: 5 is not of type 'string'"),
        ("{}", "'name' is a required property"),
        ('{"name": "x", "more": 1}', "Additional properties"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_rejected_in_words_that_help(text: str, why: str) -> None:
    verdict = _accept(text, schema=COLOUR)

    assert isinstance(verdict, Rejected)
    assert why in verdict.reason


def test_the_schema_travels_with_the_request_under_a_name_providers_take() -> None:
    schema = _request({"prompt": "x"}, schema=COLOUR).schema

    assert schema is not None
    assert (schema.name, schema.json) == ("A_colour", COLOUR)


def test_a_schema_that_refers_to_the_web_downloads_nothing() -> None:
    verdict = _accept("{}", schema={"$ref": "http://127.0.0.1:1/schema.json"})

    assert isinstance(verdict, Rejected)
    assert "refers to" in verdict.reason


def _row(key: str, columns: JsonObject, **changes: Any) -> ResultRow:
    return row(key=key, input={"row": columns}, params={"temperature": 0}, **changes)


def test_answers_are_exported_beside_the_columns_that_asked_for_them(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    rows = [
        _row("1", {"prompt": "a, b\nc"}),
        _row("2", {"prompt": "d", "answer": "mine"}, result={"json": {"n": 1}}),
        _row("3", {"prompt": "e"}, state=JobState.FAILED, result=None, error={"message": "no"}, cost_usd=None),
    ]

    said = KIND.export(iter(rows), "csv", out)

    with out.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert said == f"3 answers in {out}"
    assert [(row["key"], row["state"], row["answer"], row["error"]) for row in read] == [
        ("1", "done", "ok", ""),
        ("2", "done", '{"n":1}', ""),
        ("3", "failed", "", "no"),
    ]
    assert [(row["input.prompt"], row["input.answer"]) for row in read[:2]] == [("a, b\nc", None), ("d", "mine")]
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_an_export_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        KIND.export(iter([_row("1", {})]), "csv", tmp_path / "no" / "out.csv")
    with pytest.raises(InputError, match="no format 'xml'"):
        KIND.export(iter([]), "xml", tmp_path / "out.xml")
